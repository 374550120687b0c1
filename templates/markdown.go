package templates

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
)

// maxNesting bounds quotes and lists within each other; Markdown's time grows with its square.
const maxNesting = 32

// markdown turns a body with marks into HTML with the same marks. Control tags that have a line to themselves stand between
// paragraphs and list items, a paragraph that is one {% if %} as a whole is left out as a whole, and a link alone in its paragraph
// becomes a button.
func markdown(src string, t *tags, k skips) (string, error) {
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
	return encodedMark.ReplaceAllStringFunc(b.String(), decodeMark), nil
}

// linkify makes links of bare addresses, which may go on with tags.
var linkify = extension.NewLinkify(extension.WithLinkifyURLRegexp(regexp.MustCompile(
	`^https?://[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-z]+(?::\d+)?(?:[/#?][-a-zA-Z0-9@:%_+.~#$!?&/=();,'\x{F0000}-\x{FFFFD}]*)?`)))

// Markdown percent-encodes what is not ASCII in a link's address; a mark there is four bytes.
var encodedMark = regexp.MustCompile(`%F3%B[0-9A-F]%[89AB][0-9A-F]%[89AB][0-9A-F]`)

func decodeMark(s string) string {
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

// tooLarge returns the line from which a body is more than Markdown should be asked to read, with what is wrong; 0 = none. Its time
// grows with the square of nesting and with rows times columns of tables, which are filled up: 64 KiB of bars took minutes.
func tooLarge(src string) (line int, what string) {
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
		case depth > maxNesting || special > 8*maxNesting || strings.HasPrefix(line, strings.Repeat(" ", 8*maxNesting)):
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
func blocksOf(src string, t *tags) []block {
	var all []block
	var open []int
	for i, r := range src {
		if !isMark(r) || !t.at(r).control {
			continue
		}
		switch name := t.at(r).name; {
		case name == "if" || name == "unless" || name == "case" || name == "for":
			open = append(open, len(all))
			all = append(all, block{at: []int{i}})
		case len(open) == 0:
		case name == "else" || name == "elsif" || name == "when":
			b := &all[open[len(open)-1]]
			b.at = append(b.at, i)
		case strings.HasPrefix(name, "end"):
			b := &all[open[len(open)-1]]
			b.at, b.closed = append(b.at, i), true
			open = open[:len(open)-1]
		}
	}
	return all
}

// ownLines gives tags at the edges of lines a line of their own when their block spans several lines.
func ownLines(src string, t *tags) string {
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

func atEdge(src string, at int, t *tags) bool {
	start := strings.LastIndexByte(src[:at], '\n') + 1
	end := strings.IndexByte(src[at:], '\n')
	if end < 0 {
		end = len(src)
	} else {
		end += at
	}
	before, behind := strings.TrimSpace(src[start:at]), strings.TrimSpace(src[at+4:end])
	return before == "" || behind == "" || onlyControl(before, t) || onlyControl(behind, t)
}

// controlBlock is a line of control tags between blocks.
type controlBlock struct {
	ast.BaseBlock
	marks string
}

var kindControl = ast.NewNodeKind("ControlTags")

// Kind implements ast.Node.
func (*controlBlock) Kind() ast.NodeKind { return kindControl }

// Dump implements ast.Node.
func (n *controlBlock) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }

// controlLines parses and renders controlBlock.
type controlLines struct{ tags *tags }

// Trigger returns the first byte of every mark.
func (*controlLines) Trigger() []byte { return []byte{0xF3} }

// Open takes a line of nothing but control tags.
func (c *controlLines) Open(_ ast.Node, reader goldtext.Reader, _ goldparser.Context) (ast.Node, goldparser.State) {
	line, segment := reader.PeekLine()
	only := strings.TrimSpace(string(line))
	if !onlyControl(only, c.tags) {
		return nil, goldparser.NoChildren
	}
	reader.Advance(segment.Len() - 1)
	return &controlBlock{marks: strings.ReplaceAll(only, " ", "")}, goldparser.NoChildren
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

// RegisterFuncs writes the marks as they are.
func (c *controlLines) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindControl, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if one, ok := n.(*controlBlock); ok && entering {
			_, _ = w.WriteString(one.marks)
			_ = w.WriteByte('\n')
		}
		return ast.WalkContinue, nil
	})
}

// arranger mends what a tag between blocks does to the document.
type arranger struct {
	tags  *tags
	skips skips
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
		found = found || b.closed && len(b.at) == 2 && b.at[0] == 0 && b.at[1] == len(words)-4
	}
	if !found || first == last && first.Segment.Len() < 8 {
		return
	}
	open, size := utf8.DecodeRune(first.Segment.Value(src))
	shut, _ := utf8.DecodeLastRune(bytes.TrimRight(last.Segment.Value(src), " \t"))
	if !isMark(open) || !isMark(shut) || size != 4 {
		return
	}
	first.Segment.Start += 4
	last.Segment.Stop -= 4
	around := p
	if item := p.Parent(); item.Kind() == ast.KindListItem && item.ChildCount() == 1 {
		around = item
	}
	parent := around.Parent()
	parent.InsertBefore(parent, around, &controlBlock{marks: string(open)})
	parent.InsertAfter(parent, around, &controlBlock{marks: string(shut)})
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
				if !isMark(r) && r != ' ' {
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
				if depth = a.deepen(depth, tags.marks); depth < 0 {
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
	r, _ := utf8.DecodeLastRuneInString(c.marks)
	return strings.HasPrefix(a.tags.at(r).name, "end")
}

func (a *arranger) deepen(depth int, marks string) int {
	for _, r := range marks {
		switch name := a.tags.at(r).name; {
		case name == "if" || name == "unless" || name == "case" || name == "for":
			depth++
		case strings.HasPrefix(name, "end"):
			depth--
		}
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
		opener, _ := utf8.DecodeLastRuneInString(before.marks)
		end, _ := utf8.DecodeRuneInString(behind.marks)
		if a.tags.at(opener).name != "for" || a.tags.at(end).name != "endfor" {
			continue
		}
		before.marks += a.tags.made("if", "forloop.first")
		list.InsertBefore(list, list.FirstChild(), &controlBlock{marks: a.tags.made("endif", "")})
		list.AppendChild(list, &controlBlock{marks: a.tags.made("if", "forloop.last")})
		behind.marks = a.tags.made("endif", "") + behind.marks
	}
}
