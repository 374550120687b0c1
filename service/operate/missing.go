package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/intake"
	"github.com/carebell/carebell/service/carebook"
)

// Missing are the customers of a dealer who are not in a full export. A dealer of whom it has nobody is not in it at all.
type Missing struct {
	Dealer    string
	Customers int // in the store, but for those who are marked as gone already
	IDs       []string
}

func (m *Missing) share() float64 { return 100 * float64(len(m.IDs)) / float64(m.Customers) }

func (m *Missing) String() string {
	return fmt.Sprintf("%s: %d of %d customers are not in the files (%.1f %%)", cmp.Or(m.Dealer, "no dealer"), len(m.IDs), m.Customers, m.share())
}

// missing finds who is in the store and not in the files.
func (s *Service) missing(ctx context.Context, who care.Principal, book *carebook.Compiled, ids *intake.IDs) ([]*Missing, error) {
	type dealer struct {
		seen, gone int
		ids        []string
	}
	dealers := map[string]*dealer{}
	err := s.Store.Scan(ctx, func(all []*care.Facts) error {
		for _, f := range all {
			c := f.Customer
			if c == nil || !book.Visible(who, c) {
				continue
			}
			name := book.Planner.DealerName(c)
			d := dealers[name]
			if d == nil {
				d = &dealer{}
				dealers[name] = d
			}
			switch {
			case ids.Has(c.ID):
				d.seen++
			case slices.ContainsFunc(c.Holds, func(h care.Hold) bool { return h.Reason == care.Gone }):
				d.gone++
			default:
				d.ids = append(d.ids, c.ID)
			}
		}
		return nil
	})
	var out []*Missing
	for _, name := range slices.Sorted(maps.Keys(dealers)) {
		if d := dealers[name]; d.seen > 0 && len(d.ids) > 0 {
			slices.Sort(d.ids)
			d.ids = slices.Compact(d.ids) // a scan may see a customer twice
			out = append(out, &Missing{Dealer: name, Customers: d.seen + len(d.ids), IDs: d.ids})
		}
	}
	return out, err
}

// full says who is missing from the files of an import, and marks them if that was asked for and is safe.
func (s *Service) full(ctx context.Context, into *merger, ids *intake.IDs, opt ImportOptions, report *ImportReport) (err error) {
	report.Full = true
	if report.Missing, err = s.missing(ctx, into.who, into.book, ids); err != nil || len(report.Missing) == 0 {
		return err
	}
	if !opt.DryRun {
		report.MissingFile = opt.beside(opt.Files[0]) + ".missing.csv"
		if err := writeMissing(report.MissingFile, report.Missing); err != nil {
			return err
		}
	}
	if !opt.RemoveMissing {
		return nil
	}
	if ids.Unreadable > 0 {
		return fmt.Errorf("nobody is marked as gone: %d rows have no id that can be read, so who is missing is not known; mend them first", ids.Unreadable)
	}
	for _, m := range report.Missing {
		if m.share() > opt.MostMissing {
			return fmt.Errorf("nobody is marked as gone: %s, more than %g %%: are the files whole? --most-missing %.0f allows it", m, opt.MostMissing, m.share()+0.5)
		}
	}
	today := care.DateOf(s.Now())
	for _, m := range report.Missing {
		for part := range slices.Chunk(m.IDs, 1000) {
			patches := make([]intake.Patch, len(part))
			for i, id := range part {
				patches[i] = intake.Gone(id, today)
			}
			sum, err := into.merge(ctx, patches)
			if report.Marked += sum.Changed; err != nil {
				return err
			}
		}
	}
	return nil
}

// writeMissing writes who is missing; a file that is there is replaced.
func writeMissing(name string, all []*Missing) error {
	f, err := intake.CreatePrivate(name)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("dealer,id\r\n")
	for _, m := range all {
		for _, id := range m.IDs {
			b.WriteString(m.Dealer + "," + id + "\r\n")
		}
	}
	_, err = io.WriteString(f, b.String())
	return errors.Join(err, f.Close())
}

// printMissing says who is missing, the first ones by their ids.
func (r *ImportReport) printMissing(w io.Writer) {
	for _, m := range r.Missing {
		more := ""
		if len(m.IDs) > 10 {
			more = ", …"
		}
		fmt.Fprintf(w, "%s: %s%s\n", m, strings.Join(m.IDs[:min(10, len(m.IDs))], ", "), more)
	}
	if r.MissingFile != "" {
		fmt.Fprintf(w, "%s has them all\n", r.MissingFile)
	}
	verb := "were"
	if r.DryRun {
		verb = "would be"
	}
	switch {
	case r.Full && len(r.Missing) == 0:
		fmt.Fprintln(w, "nobody is missing from the files")
	case r.Marked > 0:
		fmt.Fprintf(w, "%d %s marked as gone: safety messages only, until a file has them again\n", r.Marked, verb)
	case r.Full:
		fmt.Fprintln(w, "nobody is marked as gone: --remove-missing does that")
	}
}
