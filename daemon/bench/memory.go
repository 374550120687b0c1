package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// resident returns the memory of this process in MB: what the system counts, else (where there is no /proc) what Go has taken.
func resident() float64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(raw)); err == nil && len(fields) > 1 {
		if pages, err := strconv.Atoi(fields[1]); err == nil {
			return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys-m.HeapReleased) / (1 << 20)
}
