"""Ctrl-C and other signals to end, for a run that has to be saved first."""

import contextlib
import os
import signal
import sys
import threading

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# SIGHUP comes when a terminal is closed or a connection is lost. A program that was started by
# nohup ignores it, and goes on doing so.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    SIGNALS.append(signal.SIGHUP)


class Interruption:
    """The first signal ends a run in order, a second one at once.

    In order means: a signal inside the context `postponed` is only noted. The run ends when it
    calls `end` itself, after it has saved everything.

    Parameters
    ----------
    is_whole_program : bool
        Whether the run is the whole program. If so, signals outside of `postponed` are handled here
        too, as long as this context is open. They end the process with a line that says how to
        resume. If not, as in a notebook, signals outside keep their former handlers.

    Attributes
    ----------
    asked : bool, whether there was a signal
    last_words : function without arguments that returns the text to print at the end
    """

    def __init__(self, is_whole_program=False):
        self.asked = False
        self.last_words = lambda: "... stopped before training began"
        self._is_whole_program = is_whole_program
        self._number = None
        self._postponed = False
        self._others = {}
        self._process = os.getpid()

    def __enter__(self):
        if self._is_whole_program:
            self._receive_all()
        return self

    def __exit__(self, *exception):
        # Only Python's own end is left, and a signal would turn it into a traceback.
        if self._is_whole_program:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
        else:
            # A loop that was left by an exception may still be held by somebody.
            self._restore_others()

    @contextlib.contextmanager
    def postponed(self):
        """A context in which a signal only sets `asked`; the code inside has to look at it."""
        if self._postponed:
            # The outer context ends the run.
            yield
            return
        if not self._is_whole_program:
            self._others = self._receive_all()
        self._postponed = True
        try:
            yield
        finally:
            self._restore_others()
            if sys.exception() is None:
                self.end_if_asked()

    def say(self, *words):
        """Print a line. If it cannot be written, handle that like a signal to end."""
        try:
            print(*words, flush=True)
        except OSError:
            if not self.asked:
                os.kill(os.getpid(), signal.SIGTERM)

    def end_if_asked(self):
        """End if there was a signal."""
        if self.asked:
            self.end()

    def end(self):
        """Print the last words, and exit with the status that shells use for the signal."""
        status = 128 + self._number
        try:
            # On a screen, the line may show ^C or a progress bar already.
            print("\n" * sys.stdout.isatty() + self.last_words(), flush=True)
        finally:
            # Even if the words cannot be printed. A program does not use sys.exit: the signal may
            # have come anywhere, as in a callback that ignores exceptions.
            if self._is_whole_program:
                os._exit(status)
            sys.exit(status)

    def _receive_all(self):
        """Handle the signals here; returns the former handlers."""
        # Only the main thread may do so; a run in another thread is not interrupted.
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._receive) for number in SIGNALS}

    def _restore_others(self):
        """Give signals back to whom they belonged before `postponed`."""
        self._postponed = False
        for number, handler in self._others.items():
            signal.signal(number, handler)
        self._others = {}

    def _receive(self, number, frame):
        if os.getpid() != self._process:
            # A process that was forked meanwhile has no run to save.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._number = number
        self.asked = True
        if not self._postponed:
            self.end()
