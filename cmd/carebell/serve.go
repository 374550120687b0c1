package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/carebell/carebell/cmd/carebell/demo"
	"github.com/carebell/carebell/config"
	"github.com/carebell/carebell/daemon"
	"github.com/spf13/cobra"
)

func newLog(cmd *cobra.Command, s *config.Settings) *slog.Logger {
	opt := &slog.HandlerOptions{Level: slog.Level(s.LogLevel)}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), opt))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), opt))
}

func newServe() *cobra.Command {
	var settingsHelp bytes.Buffer
	_ = config.Usage(&settingsHelp)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "Run the daemon: plan what is due, deliver it, answer health checks, until SIGTERM or SIGINT. SIGHUP reads the care book anew.\n\n" +
			"Settings come from the environment:\n\n" + settingsHelp.String(),
		Args: cobra.NoArgs,
	}
	dry := cmd.Flags().Bool("dry-run", false, "plan, render and record everything, send nothing (as CARE_DRY_RUN=true)")
	unsafe := cmd.Flags().Bool("allow-unsafe-redis", false, "start although Redis could lose messages (as CARE_ALLOW_UNSAFE_REDIS=true)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := start(cmd, "")
		if err != nil {
			return err
		}
		env := s.env
		env.Settings.DryRun = env.Settings.DryRun || *dry
		env.Settings.AllowUnsafeRedis = env.Settings.AllowUnsafeRedis || *unsafe
		if err := env.Settings.ForServe(); err != nil {
			return err
		}
		daemon.TuneCollector(cmd.Context())
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		return env.Serve(cmd.Context(), hup)
	}
	return cmd
}

func newDemo() *cobra.Command {
	opt := demo.Options{}
	var speed string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a whole dealership at work on this machine, with nothing installed",
		Long:  "Run a whole dealership on this machine with nothing installed: an embedded store, a mail server and an SMS gateway inside the\nprocess, 300 made-up customers of two dealers, and a clock that runs a day a second.\nWith --exit the status is 0 only if every planned message arrived exactly once.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := demo.ParseSpeed(speed)
			if err != nil {
				return &misuse{fmt.Errorf("--speed: %w", err)}
			}
			if opt.Days < 1 || opt.Days > 366 {
				return &misuse{fmt.Errorf("--days %d: it is 1 to 366", opt.Days)}
			}
			if opt.Stores != "zh" && opt.Stores != "en" && opt.Stores != "both" {
				return &misuse{fmt.Errorf("--stores %s: it is zh, en or both", opt.Stores)}
			}
			if opt.Import < 0 || opt.Import+opt.Customers > 5000 {
				return &misuse{fmt.Errorf("--customers %d --import %d: together they are 1 to 5000", opt.Customers, opt.Import)}
			}
			opt.Speed, opt.Out, opt.Version = s, cmd.OutOrStdout(), version
			return demo.Run(cmd.Context(), opt)
		},
	}
	f := cmd.Flags()
	f.IntVar(&opt.Days, "days", 30, "how many days to run")
	f.StringVar(&speed, "speed", "1d/s", "how fast: 1d/s is a day a second, 6h/s six hours")
	f.BoolVar(&opt.Exit, "exit", false, "stop at the end; status 0 only if every planned message arrived exactly once")
	f.StringVar(&opt.Report, "report", "", "write the figures into this file as JSON")
	f.StringVar(&opt.Listen, "listen", "127.0.0.1:8080", "where the page is served; another port is chosen if this one is taken")
	f.IntVar(&opt.Customers, "customers", 300, "how many customers")
	f.StringVar(&opt.Stores, "stores", "both", "whose customers: zh (the store in Shanghai), en (the one in New York) or both")
	f.BoolVar(&opt.Sharing, "households", true, "some customers share a number, as a household does")
	f.IntVar(&opt.Import, "import", 0, "import so many customers more half way, as a surprise: the brake holds them until an operator lets them go, six hours later")
	return cmd
}
