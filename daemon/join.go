package daemon

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/channels/sms"
	"github.com/carebell/carebell/channels/webhook"
	"github.com/carebell/carebell/service/carebook"
	"github.com/carebell/carebell/service/events"
	"github.com/carebell/carebell/service/feedback"
	"github.com/carebell/carebell/service/operate"
	"github.com/carebell/carebell/web"
	"github.com/carebell/carebell/web/hooks"
	"github.com/carebell/carebell/web/httpx"
)

// private joins the console and the API with what they show.
func (d *Daemon) private() *web.Private {
	set := d.env.Settings
	return &web.Private{
		Ready: d.ready, Metrics: d.metrics.Handler(), Token: set.ConsoleToken.Reveal(), Hosts: httpx.NewHosts(set.Listen, set.ConsoleURL...),
		Service: &operate.Console{
			Store: d.store, Book: d.book.Load, Operator: d.stops.Operator, Now: d.env.Now, Version: d.env.Version, DryRun: set.DryRun,
			Leader: d.leader,
		},
		Pages: d.parts.Pages, TrustedProxies: set.TrustedProxies, Now: d.env.Now, Log: d.log,
	}
}

// leader names the replica that leads the sweep, as far as this one knows.
func (d *Daemon) leader() (name string, leading bool) {
	if d.leads.Load() {
		return d.holder, true
	}
	return "", false
}

// public joins the customers' pages and the callbacks with what they need.
func (d *Daemon) public() *web.Public {
	return &web.Public{
		Signer: d.env.signer(), Feedback: d.feedback(), Gateways: hooks.SMS{Sender: d.texts, Redirect: d.env.redirects()},
		BounceSecrets: d.env.Settings.BounceSecrets(), Mail: hooks.NewMail(d.env.Settings, d.env.redirects(), d.env.Now), TrustedProxies: d.env.Settings.TrustedProxies, Now: d.env.Now, Log: d.log,
	}
}

// texts is what sends SMS now, nil if no gateway is set up.
func (d *Daemon) texts() *sms.Sender { return d.channels.Load().sms }

// feedback joins what takes feedback with what it keeps it in.
func (d *Daemon) feedback() *feedback.Service {
	key, redirect := d.env.hashKey(), d.env.redirects()
	directory := feedback.Directory{Store: d.store, Book: d.book.Load, HashKey: key, Now: d.env.Now}
	return &feedback.Service{
		Overlays: d.store, Addresses: d.store, Facts: directory, Events: directory, Receipts: d.store, People: directory, Now: d.env.Now, Log: d.log,
		Reports: func(raw []byte) ([]care.Receipt, error) {
			receipts, err := feedback.ReadReport(raw, d.env.Now(), d.env.Settings.ReportKeys()...)
			return redirect.Strip(receipts), err
		},
		Unread: d.store.CountReturned, Message: d.store.Message,
		Hash: func(ch care.Channel, address string) string { return feedback.HashOf(key, ch, address) },
	}
}

// redirects are the safe first day's one address of each channel.
func (e *Env) redirects() feedback.Redirect {
	return feedback.Redirect{care.Email: e.Settings.RedirectEmail, care.SMS: e.Settings.RedirectPhone}
}

// openBounces checks where returned mail arrives. It connects to nothing.
func (d *Daemon) openBounces(context.Context) (err error) {
	returned := func(ctx context.Context, mail io.Reader) error { return d.feedback().Returned(ctx, mail) }
	d.bounces, err = feedback.NewBouncePollers(d.env.Settings.Bounce, returned, d.leads.Load, d.env.Now, d.log)
	return err
}

// startAsking has the leader ask about uncertain texts.
func (d *Daemon) startAsking() {
	if d.texts() == nil {
		return
	}
	questions := feedback.Questions{Book: func() *carebook.Compiled { return d.book.Load() }, Redirect: d.env.redirects()}
	poller := feedback.NewStatusPoller(feedback.StatusPollerConfig{
		Messages: d.store.Messages, Facts: d.store.Facts, Question: questions.Of, Ask: d.ask, Take: d.feedback().TakeReceipts, Leads: d.leads.Load, Now: d.env.Now, Log: d.log,
	})
	d.loop("status polling", poller.Run)
	ask := func(ctx context.Context) []sms.Balance { return d.texts().Balances(ctx) }
	d.loop("balances", (&feedback.BalancePoller{Ask: ask, Show: d.metrics.Balances, Leads: d.leads.Load, Log: d.log}).Run)
}

// ask asks within the channel's rate.
func (d *Daemon) ask(ctx context.Context, q sms.Question) (care.Receipt, error) {
	if err := d.engine.Wait(ctx, care.SMS); err != nil {
		return care.Receipt{}, err
	}
	return d.texts().Ask(ctx, q)
}

// startEvents has the leader add tasks, take signals, and post what CARE_WEBHOOK_URL wants to know.
func (d *Daemon) startEvents() {
	tasks := events.NewTaskMaker(d.store, d.leads.Load, d.env.Now, d.log)
	d.loop("tasks", tasks.Run)
	signals := feedback.Signals{Store: d.store, Events: d.feedback().Events, Book: d.book.Load, Leads: d.leads.Load, Count: d.metrics.Signal, Now: d.env.Now, Log: d.log, Idle: events.Idle}
	d.loop("signals", signals.Run)
	sender, ok := d.channels.Load().byChannel[care.Webhook].(*webhook.Sender)
	if !ok || d.env.Settings.Webhook.URL.IsZero() {
		return
	}
	cfg := events.PublisherConfig{
		Stream: d.store, Leads: d.leads.Load, All: d.env.Settings.Webhook.Events, Text: d.taskText, Dropped: d.metrics.EventsDropped.Add,
		Now: time.Now, Idle: events.Idle, Log: d.log, Bot: sender.Bot(),
		Paused: func(ctx context.Context) bool {
			op, err := d.stops.Operator(ctx)
			return err != nil || op.Channels[care.Webhook]
		},
		Pause: func(ctx context.Context, code string) {
			if err := d.stops.PauseChannel(ctx, care.Webhook, code); err != nil {
				d.log.Error("the channel could not be paused", slog.Any("error", err))
			}
		},
	}
	if urls := d.env.Settings.ConsoleURL; len(urls) > 0 {
		cfg.More = strings.TrimRight(urls[0], "/") + "/tasks"
	}
	if d.env.Settings.Trial() == "" { // what happens in a trial is nobody else's business
		cfg.Wait = func(ctx context.Context) error { return d.engine.Wait(ctx, care.Webhook) }
		cfg.Post = sender.Post
	}
	publisher := events.NewPublisher(cfg)
	d.loop("events", publisher.Run)
}

// taskText is what a group bot is told of a task, in the dealer's language.
func (d *Daemon) taskText(e *care.EventEntry) string {
	locale := ""
	if dealer := d.book.Load().Book.Dealer(e.Dealer); dealer != nil {
		locale = dealer.Locale
	}
	return events.TaskText(locale, e)
}
