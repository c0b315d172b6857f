# The demo model becomes part of the program: every file below models/demo, byte for byte.
