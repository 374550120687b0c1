package mail

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/carebell/carebell/templates/liquid"
)

// Text makes the text alternative of a composed page, with the same placeholders. colon stands between the words of a button and its
// address: ": ", or "：" where brackets are full-width as well. Which blocks a message has is known only when it is written, so their
// edges are marks, of which Fold makes line breaks.
func Text(page, colon string, t *liquid.Tags) (string, error) {
	doc, err := html.Parse(strings.NewReader(protectAll(page, t)))
	if err != nil {
		return "", err
	}
	w := &textWriter{tags: t, colon: colon}
	w.node(doc)
	return w.b.String(), nil
}

type textWriter struct {
	b      strings.Builder
	tags   *liquid.Tags
	colon  string
	indent string
	lists  []int // number of the next item; 0 = not numbered
}

// A mark is markOpen, what it does, the indent of the lines from there on, and markClose. Several in a row are one edge: the widest
// counts, and the last indent.
const (
	markOpen  = '\x1d'
	markClose = '\x1e'
	breakLine = '+' // one line break more
	nextLine  = '1' // one line break at least
	emptyLine = '2' // an empty line at least
	noBreak   = '-' // what follows stands right behind a bullet
	endOfItem = 'e' // a new line even behind a bullet
)

func (w *textWriter) mark(what rune) {
	w.b.WriteString(string(markOpen) + string(what) + w.indent + string(markClose))
}

// Fold writes the line breaks of a text that Text made and that has its values now. Spaces in a row become one.
func Fold(text []byte) []byte {
	out := make([]byte, 0, len(text))
	breaks, behindBullet, space := 0, false, false
	var indent []byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case markOpen:
			end := i + bytes.IndexByte(text[i:], markClose)
			indent = text[i+2 : end]
			switch text[i+1] {
			case breakLine:
				breaks++
			case nextLine:
				breaks = max(breaks, 1)
			case emptyLine:
				breaks = max(breaks, 2)
			case noBreak:
				behindBullet = true
			case endOfItem:
				breaks, behindBullet = max(breaks, 1), false
			}
			i = end
		case ' ', '\n', '\t', '\r':
			space = true
		default:
			switch {
			case behindBullet:
				out = append(out, ' ')
			case len(out) == 0:
				out = append(out, indent...)
			case breaks > 0:
				out = append(append(out, "\n\n\n\n"[:min(breaks, 4)]...), indent...)
			case space:
				out = append(out, ' ')
			}
			out = append(out, c)
			breaks, behindBullet, space = 0, false, false
		}
	}
	return append(out, '\n')
}

func (w *textWriter) words(s string) {
	w.b.WriteString(strings.Map(func(r rune) rune {
		if r == markOpen || r == markClose {
			return -1
		}
		return r
	}, s))
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
		w.mark(breakLine)
	case atom.Hr:
		w.mark(emptyLine)
		w.b.WriteString("---")
		w.mark(emptyLine)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table, atom.Pre, atom.Header, atom.Footer, atom.Main:
		w.mark(emptyLine)
		w.children(n)
		w.mark(emptyLine)
	case atom.Div, atom.Tr, atom.Section, atom.Article:
		w.mark(nextLine)
		w.children(n)
		w.mark(nextLine)
	case atom.Td, atom.Th:
		w.children(n)
		w.b.WriteByte(' ')
	case atom.Blockquote:
		before := w.indent
		w.indent += "> "
		w.mark(emptyLine)
		w.children(n)
		w.indent = before
		w.mark(emptyLine)
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
	gap := emptyLine
	if len(w.lists) > 0 {
		gap = nextLine
	}
	w.mark(gap)
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
	w.mark(gap)
}

func (w *textWriter) item(n *html.Node) {
	w.mark(nextLine)
	before, bullet := w.indent, "-"
	if len(w.lists) > 0 {
		if number := &w.lists[len(w.lists)-1]; *number > 0 {
			bullet = strconv.Itoa(*number) + "."
			*number++
		}
	}
	w.b.WriteString(bullet)
	w.indent += strings.Repeat(" ", len(bullet)+1)
	w.mark(noBreak)
	w.children(n)
	w.indent = before
	w.mark(endOfItem)
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
		w.b.WriteString(" ）") // the space ends the address: some mail programs read a full-width bracket into it
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
