package main

import (
	"io"

	"github.com/carebell/carebell/service/insight"
	"github.com/schollz/progressbar/v3"
)

// newProgress draws a bar on a terminal, and nothing anywhere else: a log file is no place for one.
func newProgress(w io.Writer) insight.Progress {
	if !onTerminal(w) {
		return func(string, int64, int64) {}
	}
	var bar *progressbar.ProgressBar
	var of string
	return func(what string, done, total int64) {
		if bar == nil || what != of {
			of = what
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(65e6))
		}
		_ = bar.Set64(done)
		if done >= total {
			_ = bar.Finish()
		}
	}
}
