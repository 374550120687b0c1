package peers

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the process when the test binary dies without its clean-ups, as at a test's time-out.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
