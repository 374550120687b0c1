package mail

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/carebell/carebell/templates/liquid"
)

// Text makes the text alternative of a composed page, with the same placeholders. colon stands between the words of a button and its
// address: ": ", or "：" where brackets are full-width as well. Line breaks are written as late as possible, so that they
// fall into the block of the text they belong to and vanish with it.
func Text(page, colon string, t *liquid.Tags) (string, error) {
	doc, err := html.Parse(strings.NewReader(protectAll(page, t)))
	if err != nil {
		return "", err
	}
	w := &textWriter{tags: t, colon: colon, pending: -1}
	w.node(doc)
	return strings.TrimSpace(w.b.String()), nil
}

type textWriter struct {
	b       strings.Builder
	tags    *liquid.Tags
	colon   string
	pending int // line breaks owed before the next text; -1 at the very beginning
	space   bool
	indent  string
	lists   []int // number of the next item; 0 = not numbered
	inLoop  bool  // the list that follows is made by a loop: its empty line is written already
}

func (w *textWriter) breaks(n int) {
	if w.pending >= 0 {
		w.pending = max(w.pending, n)
	}
	w.space = false
}

// flush writes what is owed.
func (w *textWriter) flush() {
	if w.pending > 0 {
		w.b.WriteString(strings.Repeat("\n", w.pending) + w.indent)
	} else if w.space && w.pending == 0 {
		w.b.WriteByte(' ')
	}
	w.pending, w.space = 0, false
}

func (w *textWriter) words(s string) {
	for _, r := range s {
		switch {
		case liquid.IsPlaceholder(r) && w.tags.Of(r).Control:
			w.control(r)
		case r == ' ' || r == '\n' || r == '\t' || r == '\r':
			w.space = w.pending == 0
		default:
			w.flush()
			w.b.WriteRune(r)
		}
	}
}

// control writes a control tag without what is owed. A tag made around a loop's list takes the empty line before the list with it.
func (w *textWriter) control(r rune) {
	t := w.tags.Of(r)
	if t.Made && t.Args == "forloop.first" && w.pending > 1 {
		w.b.WriteRune(r)
		w.b.WriteString("\n")
		w.pending, w.inLoop = 1, true
		return
	}
	if w.space && w.pending == 0 && !strings.HasPrefix(t.Name, "end") {
		w.b.WriteByte(' ')
		w.space = false
	}
	w.b.WriteRune(r)
}

func (w *textWriter) children(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c)
	}
}

func (w *textWriter) node(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.words(n.Data)
	case html.CommentNode:
		if placeholder, ok := strings.CutPrefix(n.Data, protection); ok {
			w.words(placeholder)
		}
	case html.ElementNode:
		w.element(n)
	default:
		w.children(n)
	}
}

func (w *textWriter) element(n *html.Node) {
	if hidden(n) {
		return
	}
	switch n.DataAtom {
	case atom.Head, atom.Style, atom.Script, atom.Title:
	case atom.Br:
		w.pending = max(w.pending, 0) + 1
		w.space = false
	case atom.Hr:
		w.breaks(2)
		w.flush()
		w.b.WriteString("---")
		w.breaks(2)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table, atom.Pre, atom.Header, atom.Footer, atom.Main:
		w.breaks(2)
		w.children(n)
		w.breaks(2)
	case atom.Div, atom.Tr, atom.Section, atom.Article:
		w.breaks(1)
		w.children(n)
		w.breaks(1)
	case atom.Td, atom.Th:
		w.children(n)
		w.space = w.pending == 0
	case atom.Blockquote:
		w.breaks(2)
		before := w.indent
		w.indent += "> "
		w.children(n)
		w.indent = before
		w.breaks(2)
	case atom.Ul, atom.Ol:
		w.list(n)
	case atom.Li:
		w.item(n)
	case atom.Img:
		w.words(attribute(n, "alt"))
	case atom.A:
		w.link(n)
	default:
		w.children(n)
	}
}

func (w *textWriter) list(n *html.Node) {
	gap := 2
	if len(w.lists) > 0 {
		gap = 1
	}
	if !w.inLoop {
		w.breaks(gap)
	}
	w.inLoop = false
	first := 0
	if n.DataAtom == atom.Ol {
		first = 1
		if start, err := strconv.Atoi(attribute(n, "start")); err == nil {
			first = start
		}
	}
	w.lists = append(w.lists, first)
	w.children(n)
	w.lists = w.lists[:len(w.lists)-1]
	w.breaks(gap)
}

func (w *textWriter) item(n *html.Node) {
	w.breaks(1)
	before, bullet := w.indent, "- "
	if len(w.lists) > 0 {
		if number := &w.lists[len(w.lists)-1]; *number > 0 {
			bullet = strconv.Itoa(*number) + ". "
			*number++
		}
	}
	w.flush()
	w.b.WriteString(bullet)
	w.indent += strings.Repeat(" ", len(bullet))
	w.pending = -1 // a paragraph within begins right behind the bullet
	w.children(n)
	w.pending = max(w.pending, 0)
	w.indent = before
	w.breaks(1)
}

// link shows where a link leads, unless its words say so already.
func (w *textWriter) link(n *html.Node) {
	from := w.b.Len()
	w.children(n)
	href := attribute(n, "href")
	said := w.b.String()[from:]
	switch {
	case href == "" || strings.HasPrefix(href, "tel:") || strings.HasPrefix(href, "sms:") || strings.HasPrefix(href, "#"):
		return
	case strings.Contains(said, strings.TrimPrefix(href, "mailto:")):
		return
	}
	if attribute(n, "class") == "button" {
		w.b.WriteString(w.colon)
		w.words(href)
		return
	}
	if w.colon == "：" {
		w.b.WriteString("（")
		w.words(href)
		w.b.WriteString("）")
		return
	}
	w.b.WriteString(" (")
	w.words(href)
	w.b.WriteString(")")
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hidden(n *html.Node) bool {
	style := strings.ReplaceAll(attribute(n, "style"), " ", "")
	return attribute(n, "aria-hidden") == "true" || strings.Contains(style, "display:none")
}
