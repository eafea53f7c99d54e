"""The processor: records what devices send, evaluates it, and notifies people."""
