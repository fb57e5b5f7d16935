"""The pure floor: message codes, the engine's stream framing, flow control. No I/O, no clock, no gevent, no docker."""
