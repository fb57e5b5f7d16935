"""The wire protocol, the framing of the engine's stream, and flow control. No I/O, no clock, no gevent, no docker."""
