"""A process that is asked line by line, and does nothing meanwhile."""

import itertools
import os
import resource
import select
import signal
import subprocess


class Failed(Exception):
    """The case cannot be had of this worker."""


class Gone(Failed):
    """Nor can anything else: the process has ended."""


def one_of_each_core(count):
    """Processors to run on, on different cores as long as there are any."""
    cores = {}
    allowed = sorted(os.sched_getaffinity(0))
    for cpu in allowed:
        try:
            path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
            with open(path) as siblings:
                core = siblings.read()
        except OSError:
            core = cpu
        cores.setdefault(core, []).append(cpu)
    turns = itertools.zip_longest(*cores.values())
    return [cpu for turn in turns for cpu in turn if cpu is not None][:count]


def physical_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Worker:
    def __init__(self, command, environment, threads, log):
        processors = one_of_each_core(threads)

        def bounded():
            os.sched_setaffinity(0, processors)
            most = physical_memory() * 2 // 5
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            # Where memory runs out all the same, this is what the system ends.
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")

        self.log = open(log, "w")
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            preexec_fn=bounded,
        )

    def ask(self, request, timeout):
        """The words of the reply. The process runs only until it has replied."""
        try:
            self.process.send_signal(signal.SIGCONT)
            print(request, file=self.process.stdin, flush=True)
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            if not ready:
                self.end()
                raise Gone(f"over {timeout} s")
            reply = self.process.stdout.readline().split()
        except BrokenPipeError:
            reply = []
        if not reply:
            self.end()
            code = self.process.returncode
            raise Gone("out of memory" if code == -signal.SIGKILL else f"crashed ({code})")
        self.process.send_signal(signal.SIGSTOP)
        if reply[0] == "lacks":
            raise Failed("")
        if reply[0] == "failed":
            raise Failed(" ".join(reply[1:]))
        return [float(word) for word in reply[1:]]

    def end(self):
        """Ends the process, if it has not ended."""
        try:
            # It may just be ending by itself, with a code that tells why.
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            self.process.wait(timeout=2)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
