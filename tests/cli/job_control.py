"""The smallest shell with job control, a program: runs its arguments in the foreground of a terminal.

Standard input is the terminal. What happens to the job is reported on descriptor 3, one line each; a stopped
job goes on when a line comes in on descriptor 4.
"""

import fcntl
import os
import signal
import sys
import termios


def main() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or we could not take the terminal back
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(3)
        os.close(4)
        os.execvp(sys.argv[1], sys.argv[1:])
    report(f"started {job}")
    while True:
        _pid, status = os.waitpid(job, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            report(f"ended {os.waitstatus_to_exitcode(status)}")
            return
        report("stopped")
        os.read(4, 64)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
        report("continued")


def report(line: str) -> None:
    os.write(3, line.encode() + b"\n")


main()
