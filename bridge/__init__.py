"""What devices, processor and dashboard must agree on, and the broker's own setup."""
