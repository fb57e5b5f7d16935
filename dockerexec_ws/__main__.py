"""``python -m dockerexec_ws`` and the console script. gevent patches the standard library before any other import."""

from gevent import monkey

monkey.patch_all()

from dockerexec_ws.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
