"""``python -m dockerexec_ws.client`` and the console script."""

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, and end as it says: by an exit status, or by the signal that ended it."""
    # Until somebody waits for signals, Ctrl-C ends the program at once: no traceback while it imports.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_standard_streams()

    from dockerexec_ws.client.terminal.cli import run  # only now

    status, number = run()
    if number:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # which the first process of a container does not notice
    # Threads that wait for input or for the server are not waited for.
    os._exit(status)


def _open_standard_streams() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that is closed, or the next socket would be taken for it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main()
