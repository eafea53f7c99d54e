"""The notifier: tells people of alarm transitions, each target on its own."""
