"""Ctrl-C and other requests to end, for a run that wants to save its work first."""

import contextlib
import os
import signal
import sys
import threading

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# A terminal is closed or a connection lost; whoever began the program with nohup wants to go on.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    SIGNALS.append(signal.SIGHUP)


class Interruption:
    """The first of these signals ends a run in order, the second at once.

    In order means: inside of `postponed` not before the run itself calls `end`, where all is saved.

    Parameters
    ----------
    is_programs : bool
        Whether the whole program is the run. Then a signal outside of `postponed` is received here
        too, from the beginning of the context to its end, and ends the process with a word on how
        to go on. Else signals outside are whoever else's they were, as in a notebook.

    Attributes
    ----------
    asked : whether there was a signal that has been postponed
    last_words : function to the text that is printed before the end
    """

    def __init__(self, is_programs=False):
        self.asked = False
        self.last_words = lambda: "... stopped before training began"
        self._is_programs = is_programs
        self._number = None
        self._postponed = False

    def __enter__(self):
        if self._is_programs:
            self._receive_all()
        return self

    def __exit__(self, *exception):
        # What is left is Python's own end, which a signal would turn into a traceback.
        if self._is_programs:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def postponed(self):
        """A context in which a signal is only noted: whoever works there looks at `asked`."""
        others = {} if self._is_programs else self._receive_all()
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False
            for number, handler in others.items():
                signal.signal(number, handler)
            if sys.exception() is None:
                self.end_if_asked()

    def say(self, *words):
        """Print a line; if nobody reads any more, take that for a request to end."""
        try:
            print(*words, flush=True)
        except OSError:
            if not self.asked:
                os.kill(os.getpid(), signal.SIGTERM)

    def end_if_asked(self):
        """End, if there was a signal."""
        if self.asked:
            self.end()

    def end(self):
        """Say the last words, and end with the status that shells give to such a signal."""
        status = 128 + self._number
        try:
            # On a screen, the signal's ^C or a progress bar stands in the line.
            print("\n" * sys.stdout.isatty() + self.last_words(), flush=True)
        finally:
            # Whatever happens to the words. And a program not by sys.exit: the signal may have come
            # anywhere, as in a callback that ignores errors.
            if self._is_programs:
                os._exit(status)
            sys.exit(status)

    def _receive_all(self):
        """Receive the signals; who did before."""
        # Only the main thread may; a run in another one is not interrupted.
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._receive) for number in SIGNALS}

    def _receive(self, number, frame):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._number = number
        self.asked = True
        if not self._postponed:
            self.end()
