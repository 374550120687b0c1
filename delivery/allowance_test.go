package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		defer stop()
		a := &allowance{parent: parent, time: 10 * time.Second, now: time.Now}
		// One after the other, each has all of its time.
		var first context.Context
		for range 5 {
			began := time.Now()
			ctx := a.start()
			if at, ok := ctx.Deadline(); !ok || !at.Equal(began.Add(10*time.Second)) {
				t.Errorf("begun at %v, its deadline is %v", began, at)
			}
			time.Sleep(9 * time.Second)
			if err := ctx.Err(); err != nil {
				t.Errorf("after 9 s: %v", err)
			}
			a.end()
			if first == nil {
				first = ctx
			}
		}
		if at, _ := first.Deadline(); time.Since(at) < 30*time.Second {
			t.Errorf("an earlier deadline is %v now", at)
		}
		// An end of the time ends what was derived of it too, as a deadline does.
		ctx := a.start()
		derived, cancel := context.WithCancel(context.WithValue(ctx, t, t))
		defer cancel()
		stopped := make(chan struct{})
		context.AfterFunc(derived, func() { close(stopped) })
		began := time.Now()
		<-stopped
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it ended after %v", took)
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("at the end of its time: %v", ctx.Err())
		}
		a.end()
		// What came before ends nothing that comes after.
		ctx = a.start()
		time.Sleep(time.Second)
		if err := ctx.Err(); err != nil {
			t.Errorf("after one that took too long: %v", err)
		}
		stop()
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.Canceled) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("when its parent has ended: %v", ctx.Err())
		}
		a.end()
	})
}

func BenchmarkAllowance(b *testing.B) {
	a := &allowance{parent: b.Context(), time: time.Minute, now: time.Now}
	b.ReportAllocs()
	for b.Loop() {
		ctx := a.start()
		context.AfterFunc(ctx, func() {})()
		a.end()
	}
}

func BenchmarkTimeout(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		context.AfterFunc(ctx, func() {})()
		cancel()
	}
}
