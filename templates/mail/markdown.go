package mail

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	goldparser "github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	goldtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/carebell/carebell/templates/liquid"
)

// MaxNesting bounds quotes and lists within each other; Markdown's time grows with its square.
const MaxNesting = 32

// Markdown turns a body with placeholders into HTML with the same placeholders. Control tags that have a line to themselves stand between
// paragraphs and list items, a paragraph that is one {% if %} as a whole is left out as a whole, and a link alone in its paragraph
// becomes a button.
func Markdown(src string, t *liquid.Tags, k liquid.Skips) (string, error) {
	blocks := &controlLines{tags: t}
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, linkify, extension.NewCJK(extension.WithEastAsianLineBreaks(), extension.WithEscapedSpace())),
		goldmark.WithParserOptions(
			goldparser.WithBlockParsers(util.Prioritized(blocks, 50)),
			goldparser.WithASTTransformers(util.Prioritized(&arranger{t, k}, 500)),
		),
		goldmark.WithRendererOptions(html.WithUnsafe(), html.WithXHTML(), renderer.WithNodeRenderers(util.Prioritized(blocks, 50))),
	)
	var b bytes.Buffer
	if err := md.Convert([]byte(ownLines(src, t)), &b); err != nil {
		return "", err
	}
	return encodedPlaceholder.ReplaceAllStringFunc(b.String(), decodePlaceholder), nil
}

// linkify makes links of bare addresses, which may go on with tags.
var linkify = extension.NewLinkify(extension.WithLinkifyURLRegexp(regexp.MustCompile(
	`^https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-z]+(?::\d+)?(?:[/#?][-a-zA-Z0-9@:%_+.~#$!?&/=();,'\x{F0000}-\x{FFFFD}]*)?`)))

// Markdown percent-encodes what is not ASCII in a link's address; a placeholder there is four bytes.
var encodedPlaceholder = regexp.MustCompile(`%F3%B[0-9A-F]%[89AB][0-9A-F]%[89AB][0-9A-F]`)

func decodePlaceholder(s string) string {
	var b [4]byte
	for i := range b {
		b[i] = unhex(s[3*i+1])<<4 | unhex(s[3*i+2])
	}
	return string(b[:])
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}

// TooLarge returns the line from which a body is more than Markdown should be asked to read, with what is wrong; 0 = none. Its time
// grows with the square of nesting and with rows times columns of tables, which are filled up: 64 KiB of bars took minutes.
func TooLarge(src string) (line int, what string) {
	n, widest := 0, 0
	for line := range strings.SplitSeq(src, "\n") {
		n++
		depth := 0
		for i := range len(line) {
			c := line[i]
			if c == '>' || (c == '-' || c == '*' || c == '+') && i+1 < len(line) && line[i+1] == ' ' {
				depth++
			} else if c != ' ' && c != '\t' {
				break
			}
		}
		special := strings.Count(line, "[") + (strings.Count(line, "*")+strings.Count(line, "_")+strings.Count(line, "~")+strings.Count(line, "`")+strings.Count(line, "<"))/4
		widest = max(widest, strings.Count(line, "|"))
		switch {
		case depth > MaxNesting || special > 8*MaxNesting || strings.HasPrefix(line, strings.Repeat(" ", 8*MaxNesting)):
			return n, "quotes, lists or brackets are nested too deep here"
		case widest > maxColumns || widest*n > maxCells:
			return n, "the table is too large"
		case n > maxBodyLines:
			return n, "the text has too many lines"
		}
	}
	return 0, ""
}

// Bounds on a body.
const (
	maxBodyLines = 2000
	maxColumns   = 32
	maxCells     = 20_000 // the widest row times all lines
)

// block is an if, a for or their like in a text, by the bytes at which its tags stand.
type block struct {
	at     []int // opener, clauses, end
	closed bool
}

// blocksOf finds the blocks of a text; tags that do not fit are left to the builder to report.
func blocksOf(src string, t *liquid.Tags) []block {
	var all []block
	var open []int
	for i, r := range src {
		if !liquid.IsPlaceholder(r) || !t.Of(r).Control {
			continue
		}
		switch one := t.Of(r); {
		case one.Opens() > 0:
			open = append(open, len(all))
			all = append(all, block{at: []int{i}})
		case len(open) == 0:
		case one.Name == "else" || one.Name == "elsif" || one.Name == "when":
			b := &all[open[len(open)-1]]
			b.at = append(b.at, i)
		case one.Opens() < 0:
			b := &all[open[len(open)-1]]
			b.at, b.closed = append(b.at, i), true
			open = open[:len(open)-1]
		}
	}
	return all
}

// ownLines gives tags at the edges of lines a line of their own when their block spans several lines.
func ownLines(src string, t *liquid.Tags) string {
	var cut map[int]bool
	for _, b := range blocksOf(src, t) {
		if !b.closed || !strings.Contains(src[b.at[0]:b.at[len(b.at)-1]], "\n") {
			continue
		}
		edges := true
		for _, at := range b.at {
			edges = edges && atEdge(src, at, t)
		}
		if edges {
			for _, at := range b.at {
				if cut == nil {
					cut = map[int]bool{}
				}
				cut[at] = true
			}
		}
	}
	if cut == nil {
		return src
	}
	var out strings.Builder
	fresh := true // only space since the line began
	after := false
	for i, r := range src {
		if after && r != '\n' && r != ' ' && r != '\r' {
			out.WriteByte('\n')
			fresh = true
		}
		if r != ' ' || !after {
			after = false
		}
		if cut[i] {
			if !fresh {
				out.WriteByte('\n')
			}
			after = true
		}
		out.WriteRune(r)
		if r == '\n' {
			fresh = true
		} else if r != ' ' && r != '\t' {
			fresh = false
		}
	}
	return out.String()
}

func atEdge(src string, at int, t *liquid.Tags) bool {
	start := strings.LastIndexByte(src[:at], '\n') + 1
	end := strings.IndexByte(src[at:], '\n')
	if end < 0 {
		end = len(src)
	} else {
		end += at
	}
	before, behind := strings.TrimSpace(src[start:at]), strings.TrimSpace(src[at+liquid.PlaceholderSize:end])
	return before == "" || behind == "" || t.OnlyControl(before) || t.OnlyControl(behind)
}

// controlBlock is a line of control tags between blocks.
type controlBlock struct {
	ast.BaseBlock
	placeholders string
}

var kindControl = ast.NewNodeKind("ControlTags")

// Kind implements ast.Node.
func (*controlBlock) Kind() ast.NodeKind { return kindControl }

// Dump implements ast.Node.
func (n *controlBlock) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }

// controlLines parses and renders controlBlock.
type controlLines struct{ tags *liquid.Tags }

// Trigger returns the first byte of every placeholder.
func (*controlLines) Trigger() []byte { return []byte{0xF3} }

// Open takes a line of nothing but control tags.
func (c *controlLines) Open(_ ast.Node, reader goldtext.Reader, _ goldparser.Context) (ast.Node, goldparser.State) {
	line, segment := reader.PeekLine()
	only := strings.TrimSpace(string(line))
	if !c.tags.OnlyControl(only) {
		return nil, goldparser.NoChildren
	}
	reader.Advance(segment.Len() - 1)
	return &controlBlock{placeholders: strings.ReplaceAll(only, " ", "")}, goldparser.NoChildren
}

// Continue ends the block after its line.
func (*controlLines) Continue(ast.Node, goldtext.Reader, goldparser.Context) goldparser.State {
	return goldparser.Close
}

// Close has nothing to do.
func (*controlLines) Close(ast.Node, goldtext.Reader, goldparser.Context) {}

// CanInterruptParagraph is true: a tag needs no empty line around it.
func (*controlLines) CanInterruptParagraph() bool { return true }

// CanAcceptIndentedLine is true: people indent what stands in a block.
func (*controlLines) CanAcceptIndentedLine() bool { return true }

// RegisterFuncs writes the placeholders as they are.
func (c *controlLines) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindControl, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if one, ok := n.(*controlBlock); ok && entering {
			_, _ = w.WriteString(one.placeholders)
			_ = w.WriteByte('\n')
		}
		return ast.WalkContinue, nil
	})
}

// arranger mends what a tag between blocks does to the document.
type arranger struct {
	tags  *liquid.Tags
	skips liquid.Skips
}

// Transform hoists, merges and makes buttons.
func (a *arranger) Transform(doc *ast.Document, reader goldtext.Reader, _ goldparser.Context) {
	src := reader.Source()
	var paragraphs, parents []ast.Node
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering && n.Type() != ast.TypeInline {
			if n.Kind() == ast.KindParagraph || n.Kind() == ast.KindTextBlock || n.Kind() == ast.KindHeading {
				paragraphs = append(paragraphs, n)
			} else if n.HasChildren() {
				parents = append(parents, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, p := range paragraphs {
		a.hoist(p, src)
		button(p, src)
		a.skip(p, src)
	}
	for _, p := range parents {
		a.mergeLists(p)
		a.loopLists(p)
	}
}

// hoist moves an {% if %} around all of a paragraph's words to around the paragraph: without them it would be an empty one.
func (a *arranger) hoist(p ast.Node, src []byte) {
	first, ok1 := p.FirstChild().(*ast.Text)
	last, ok2 := p.LastChild().(*ast.Text)
	if !ok1 || !ok2 || p.Lines().Len() == 0 {
		return
	}
	words := string(bytes.TrimSpace(p.Lines().Value(src)))
	found := false
	for _, b := range blocksOf(words, a.tags) {
		found = found || b.closed && len(b.at) == 2 && b.at[0] == 0 && b.at[1] == len(words)-liquid.PlaceholderSize
	}
	if !found || first == last && first.Segment.Len() < 2*liquid.PlaceholderSize {
		return
	}
	open, size := utf8.DecodeRune(first.Segment.Value(src))
	shut, _ := utf8.DecodeLastRune(bytes.TrimRight(last.Segment.Value(src), " \t"))
	if !liquid.IsPlaceholder(open) || !liquid.IsPlaceholder(shut) || size != liquid.PlaceholderSize {
		return
	}
	first.Segment.Start += liquid.PlaceholderSize
	last.Segment.Stop -= liquid.PlaceholderSize
	around := p
	if item := p.Parent(); item.Kind() == ast.KindListItem && item.ChildCount() == 1 {
		around = item
	}
	parent := around.Parent()
	parent.InsertBefore(parent, around, &controlBlock{placeholders: string(open)})
	parent.InsertAfter(parent, around, &controlBlock{placeholders: string(shut)})
}

// button marks a link that is alone in its paragraph.
func button(p ast.Node, src []byte) {
	if p.Kind() != ast.KindParagraph || p.Parent().Kind() == ast.KindListItem {
		return
	}
	var link *ast.Link
	for n := p.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Link:
			if link != nil {
				return
			}
			link = n
		case *ast.Text:
			for _, r := range string(n.Segment.Value(src)) {
				if !liquid.IsPlaceholder(r) && r != ' ' {
					return
				}
			}
		default:
			return
		}
	}
	if link == nil {
		return
	}
	if img, ok := link.FirstChild().(*ast.Image); ok && img.NextSibling() == nil {
		return // a picture that is a link is no button
	}
	link.SetAttributeString("class", []byte("button"))
}

// mergeLists joins lists that only tags divide: the items between {% if %} and {% endif %} belong to the list around them.
func (a *arranger) mergeLists(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		list, ok := n.(*ast.List)
		if !ok {
			continue
		}
		depth, until := 0, ast.Node(nil)
		for m := n.NextSibling(); m != nil; m = m.NextSibling() {
			if tags, ok := m.(*controlBlock); ok {
				if depth = a.deepen(depth, tags.placeholders); depth < 0 {
					break
				}
			} else if other, ok := m.(*ast.List); !ok || other.Marker != list.Marker {
				break
			}
			if depth == 0 {
				if _, ok := m.(*ast.List); ok || until != nil || a.closes(m) {
					until = m
				}
			}
		}
		for until != nil {
			m := n.NextSibling()
			if other, ok := m.(*ast.List); ok {
				for item := other.FirstChild(); item != nil; {
					next := item.NextSibling()
					list.AppendChild(list, item)
					item = next
				}
				parent.RemoveChild(parent, m)
			} else {
				list.AppendChild(list, m)
			}
			if m == until {
				break
			}
		}
	}
}

func (a *arranger) closes(n ast.Node) bool {
	c, ok := n.(*controlBlock)
	if !ok {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(c.placeholders)
	return a.tags.Of(r).Opens() < 0
}

func (a *arranger) deepen(depth int, placeholders string) int {
	for _, r := range placeholders {
		depth += a.tags.Of(r).Opens()
	}
	return depth
}

// loopLists makes one list of a loop around list items: the list begins with the first round and ends with the last.
func (a *arranger) loopLists(parent ast.Node) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		list, ok := n.(*ast.List)
		if !ok {
			continue
		}
		before, ok1 := n.PreviousSibling().(*controlBlock)
		behind, ok2 := n.NextSibling().(*controlBlock)
		if !ok1 || !ok2 {
			continue
		}
		opener, _ := utf8.DecodeLastRuneInString(before.placeholders)
		end, _ := utf8.DecodeRuneInString(behind.placeholders)
		if a.tags.Of(opener).Name != "for" || a.tags.Of(end).Name != "endfor" {
			continue
		}
		before.placeholders += a.tags.Make("if", "forloop.first")
		list.InsertBefore(list, list.FirstChild(), &controlBlock{placeholders: a.tags.Make("endif", "")})
		list.AppendChild(list, &controlBlock{placeholders: a.tags.Make("if", "forloop.last")})
		behind.placeholders = a.tags.Make("endif", "") + behind.placeholders
	}
}

// skip puts a condition around a paragraph or heading, or around its list item if that is all the item has.
func (a *arranger) skip(p ast.Node, src []byte) {
	if len(a.skips) == 0 || p.Lines().Len() == 0 {
		return
	}
	needs := a.skips.Condition(string(p.Lines().Value(src)), a.tags)
	if needs == "" {
		return
	}
	around := p
	if item := p.Parent(); item.Kind() == ast.KindListItem && item.ChildCount() == 1 {
		around = item
	}
	parent := around.Parent()
	parent.InsertBefore(parent, around, &controlBlock{placeholders: a.tags.Make("if", needs)})
	parent.InsertAfter(parent, around, &controlBlock{placeholders: a.tags.Make("endif", "")})
}
