package operate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/intake"
	"github.com/goccy/go-yaml"
)

// RecallOptions say which recalls to take into a book.
type RecallOptions struct {
	Files  []string // NHTSA's flat format
	Makes  []string // none = those of the dealers' intervals
	DryRun bool
}

// ImportRecalls writes a bulletin into a book's folder for each campaign of the files that concerns one of the makes. A bulletin that is
// there already is left as it is, because somebody may have put it into their own words; a new one is switched off until somebody has.
func ImportRecalls(dir string, book *care.Book, opt RecallOptions, w io.Writer) error {
	if len(opt.Makes) == 0 {
		opt.Makes = makesOf(book)
	}
	written, there := 0, 0
	for _, name := range opt.Files {
		bulletins, err := readRecalls(name, opt.Makes)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, b := range bulletins {
			fresh, err := writeBulletin(dir, b, opt.DryRun)
			if err != nil {
				return err
			}
			if !fresh {
				there++
				continue
			}
			written++
			fmt.Fprintf(w, "bulletins/%s.yaml: published %s, %d lines to match\n", b.Bulletin, b.PublishedOn, len(b.Match))
		}
	}
	verb := "are new"
	if opt.DryRun {
		verb = "would be new"
	}
	fmt.Fprintf(w, "%d recalls %s, %d were there already. Read each, say it in your customers' words, and set enabled: true.\n", written, verb, there)
	return nil
}

// makesOf are the makes that the dealers give service intervals for.
func makesOf(b *care.Book) []string {
	var out []string
	for _, d := range b.Dealers {
		for _, rule := range d.Intervals {
			if rule.Make != "" && rule.Make != "*" {
				out = append(out, rule.Make)
			}
		}
	}
	return out
}

func readRecalls(name string, makes []string) ([]*care.Bulletin, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return intake.ReadRecalls(f, makes)
}

// writeBulletin writes a bulletin's file, unless there is one.
func writeBulletin(dir string, b *care.Bulletin, dry bool) (bool, error) {
	name := filepath.Join(dir, "bulletins", b.Bulletin+".yaml")
	if _, err := os.Stat(name); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if dry {
		return true, nil
	}
	type match struct {
		Make       string `yaml:"make"`
		Model      string `yaml:"model"`
		ModelYears []int  `yaml:"model_years,flow,omitempty"`
	}
	doc := struct {
		Bulletin    string    `yaml:"bulletin"`
		Enabled     bool      `yaml:"enabled"`
		Kind        string    `yaml:"kind"`
		Title       care.Text `yaml:"title"`
		PublishedOn string    `yaml:"published_on,omitempty"`
		Match       []match   `yaml:"match"`
		Summary     care.Text `yaml:"summary"`
		Risk        care.Text `yaml:"risk"`
		Remedy      care.Text `yaml:"remedy"`
		DoNotDrive  bool      `yaml:"do_not_drive"`
		ParkOutside bool      `yaml:"park_outside"`
	}{
		Bulletin: b.Bulletin, Kind: b.Kind, Title: b.Title, PublishedOn: b.PublishedOn.String(), Summary: b.Summary, Risk: b.Risk, Remedy: b.Remedy,
		DoNotDrive: b.DoNotDrive, ParkOutside: b.ParkOutside,
	}
	for _, m := range b.Match {
		doc.Match = append(doc.Match, match{m.Make, m.Model, m.ModelYears})
	}
	body, err := yaml.Marshal(doc)
	if err != nil {
		return false, fmt.Errorf("bulletin %s: %w", b.Bulletin, err)
	}
	var file bytes.Buffer
	file.WriteString("# From the agency's recall file. Read it, say it in your customers' words and languages, and switch it on.\n")
	file.Write(body)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // a book is for everybody who edits it
		return false, err
	}
	return true, os.WriteFile(name, file.Bytes(), 0o644) //nolint:gosec // as above
}
