"""The dashboard: shows what boilers do and takes acknowledgements; it controls nothing."""
