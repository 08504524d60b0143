"""Functions in processes of their own."""

import multiprocessing


def in_a_process(function, *arguments):
    """The exit status of a process that calls the function; a signal's number is negative."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode
