package templates

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/templates/liquid"
)

// A dealer writes some blocks of a message in words of their own: templates/_dealers/<dealer>/<template>/<locale>/email.md holds
// {% block greeting %}…{% endblock %}, the rest is the brand's. The brand locks a block with {% block legal locked %}, and keys of
// the front matter with locked: [subject].
const dealersFolder = folder + "/_dealers"

// piece is a block that a dealer wrote.
type piece struct {
	liquid.Block
	used bool
}

// override is a dealer's file.
type override struct {
	src    source
	pieces map[string]*piece
}

// block returns a dealer's words for a block.
func (c *compiler) block(own *override, name string, locked bool) (string, liquid.Position, bool) {
	p := own.pieces[name]
	if p == nil {
		return "", liquid.Position{}, false
	}
	p.used = true
	if locked {
		c.report.Fault(p.Tag, "locked-block", "remove it from this file", "the block %s is locked by the brand", name)
		return "", p.At, true
	}
	return p.Text, p.At, true
}

// readOverride reads a dealer's file: front matter and blocks, nothing else.
func readOverride(decode care.FileDecoder, fsys fs.FS, file string, ch care.Channel, r *report) (*override, bool) {
	text, ok := readText(fsys, file, r)
	if !ok {
		return nil, false
	}
	o := &override{pieces: map[string]*piece{}}
	if o.src, ok = readSource(decode, file, text, ch, r); !ok {
		return nil, false
	}
	blocks, stray, unended := liquid.ReadBlocks(o.src.body, o.src.at)
	switch {
	case unended:
		r.Fault(stray, "override", "write {% block name %}…{% endblock %}", "a dealer's file holds blocks, each with its end")
		return nil, false
	case stray.Line > 0:
		r.Fault(stray, "override", "write it into {% block name %}…{% endblock %}", "a dealer's file holds blocks and nothing between them")
		return nil, false
	}
	for _, b := range blocks {
		o.pieces[b.Name] = &piece{Block: b}
	}
	return o, true
}

// apply puts a dealer's file over the template's own.
func (c *compiler) apply(o *override) {
	base := &c.t.src.front
	for _, one := range []struct {
		key        string
		into, from *string
	}{{"subject", &base.Subject, &o.src.front.Subject}, {"preheader", &base.Preheader, &o.src.front.Preheader}, {"layout", &base.Layout, &o.src.front.Layout}} {
		if *one.from == "" {
			continue
		}
		if slices.Contains(base.Locked, one.key) {
			c.report.Fault(o.src.where("$."+one.key), "locked-block", "remove the line", "%s is locked by the brand", one.key)
			continue
		}
		*one.into = *one.from
		c.over[one.key] = true
	}
	base.Defaults = append(slices.Clone(base.Defaults), o.src.front.Defaults...)
	front := &o.src.front
	for _, one := range []struct {
		key   string
		given bool
	}{{"gateway", front.Gateway != nil}, {"method", front.Method != ""}, {"headers", front.Headers != nil}} {
		if one.given {
			c.report.Fault(o.src.where("$."+one.key), "override", "remove it", "a dealer's file cannot change %s", one.key)
		}
	}
	c.parser.Block = func(name string, locked bool) (string, liquid.Position, bool) { return c.block(o, name, locked) }
}

// unused reports a dealer's blocks that the template does not have.
func (c *compiler) unused(o *override) {
	for _, name := range sortedKeys(o.pieces) {
		if p := o.pieces[name]; !p.used {
			c.report.Fault(p.Tag, "unknown-block", "look for {% block … %} in "+c.file, "the template has no block %s", name)
		}
	}
}

// dealers lists the dealers' files as work to do.
func (l *loader) dealers() []func() (*template, *report) {
	var jobs []func() (*template, *report)
	_ = fs.WalkDir(l.fsys, dealersFolder, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return nil //nolint:nilerr // a book without such a folder has no such files
		}
		parts := strings.Split(strings.TrimPrefix(file, dealersFolder+"/"), "/")
		at := liquid.Position{File: file}
		ch := channelOf(e.Name())
		if len(parts) != 4 || ch == "" {
			l.report.Warn(at, "stray-file", "put it into "+dealersFolder+"/<dealer>/<template>/<locale>/ and call it email.md, sms.txt, webhook.json or task.txt", "nothing reads this file")
			return nil
		}
		base := path.Join(folder, parts[1], parts[2], e.Name())
		if _, err := fs.Stat(l.fsys, base); err != nil {
			l.report.Fault(at, "override", "write "+base+" first", "there is no template for this file to change")
			return nil //nolint:nilerr // reported
		}
		if book := l.set.env.book; len(book.Dealers) > 0 && !slices.ContainsFunc(book.Dealers, func(d *care.Dealer) bool { return d.Dealer == parts[0] }) {
			var names []string
			for _, d := range book.Dealers {
				names = append(names, d.Dealer)
			}
			l.report.Fault(at, "override", suggest(parts[0], names), "there is no dealer %q in dealers.yaml", parts[0])
			return nil
		}
		jobs = append(jobs, func() (*template, *report) {
			c := compiler{loader: l, file: base, override: file, t: &template{name: parts[1], dealer: parts[0], channel: ch, locale: parts[2], lang: languageOf(parts[2])}}
			return c.run(), &c.report
		})
		return nil
	})
	return jobs
}
