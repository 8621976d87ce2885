"""``python -m ccrouter``, and the program that an installer makes."""

from __future__ import annotations


def start() -> int:
    """Run the command line and give the exit code. Until tasks run, Ctrl-C ends us; see `cli.interrupt`."""
    import signal  # first of all, and nothing with it

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as by nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "__compiled__" in globals() and hasattr(signal, "pthread_sigmask"):  # build/nuitka/interrupts.c
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    from ccrouter.cli.main import main

    return main()


if __name__ == "__main__":
    raise SystemExit(start())
