"""The files that make a mosquitto broker ready for Steam, and the accounts in them."""
