"""What runs at the boiler: the firmware core (`steamlink`) and the simulator (`sim`)."""
