package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/carebell/carebell/config"
	"github.com/spf13/cobra"
)

// healthTime is how long the daemon has to answer.
const healthTime = 5 * time.Second

func newHealthcheck() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon on this machine whether it can do its work",
		Long:  "Ask /readyz of CARE_LISTEN, for images without a shell and for compose.\nExit 0: it can do its work, 1: it cannot, and why is said.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := config.FromEnv()
			if err != nil {
				return err
			}
			said, err := askReady(cmd.Context(), settings.Listen)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		},
	}
}

// askReady asks a daemon that listens on an address of this machine; a listener on every address is asked on loopback.
func askReady(ctx context.Context, listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", &config.Mistake{Err: fmt.Errorf("CARE_LISTEN: %w", err)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return "", err
	}
	direct := &http.Client{Transport: &http.Transport{}} // a proxy is for what is on other machines
	res, err := direct.Do(req)
	if err != nil {
		return "", fmt.Errorf("the daemon does not answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	said := strings.TrimSpace(string(body))
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(said)
	}
	return said, err
}
