package mail

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"

	"github.com/carebell/carebell/templates/liquid"
)

// Linter says what is wrong with a finished page: links, pictures, what mail clients do not show, and contrast.
type Linter struct {
	Report liquid.Reporter
	// Body is what the author wrote, and BodyAt where it begins.
	Body   string
	BodyAt liquid.Position
	// Find returns where a text stands in the author's files, BodyAt if nowhere.
	Find func(what string) liquid.Position
	// Once reports whether something was not said yet: of a layout it is said once, not for each mail.
	Once func(what string) bool
	// Layout is the name of the page's layout, as the author wrote it.
	Layout string
}

// Page checks a page that Compose made.
func (l *Linter) Page(page string, t *liquid.Tags) {
	doc, err := html.Parse(strings.NewReader(protectAll(page, t)))
	if err != nil {
		return // the page was parsed when it was made
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "a":
			l.href(n)
		case "img":
			l.image(n)
		case "style":
			if n.FirstChild != nil {
				l.css(n.FirstChild.Data)
			}
		}
		if why, ok := poorElements[n.Data]; ok && l.Once(l.BodyAt.File+n.Data) {
			l.Report.Warn(l.Find("<"+n.Data), "client-support", why, "<%s> is not shown by common mail clients", n.Data)
		}
		if style := attribute(n, "style"); style != "" {
			l.css(style)
		}
	}
	for _, dark := range []bool{false, true} {
		l.contrast(doc, dark)
	}
}

func (l *Linter) href(n *html.Node) {
	href := strings.TrimSpace(attribute(n, "href"))
	if strings.ContainsFunc(href, liquid.IsPlaceholder) {
		if r := []rune(href)[0]; liquid.IsPlaceholder(r) {
			return // checked when it is rendered
		}
	}
	plain := strings.Map(func(r rune) rune {
		if liquid.IsPlaceholder(r) {
			return 'x'
		}
		return r
	}, href)
	u, err := url.Parse(plain)
	at := func() liquid.Position {
		// Markdown and HTML write an address differently; what comes before the first tag or special character is the same.
		head := strings.FieldsFunc(href, func(r rune) bool { return liquid.IsPlaceholder(r) || r == '&' || r == '%' })
		if len(head) == 0 {
			return l.BodyAt
		}
		return l.Find(head[0])
	}
	switch {
	case href == "" || href == "#":
		l.Report.Fault(l.Find("]("+href+")"), "broken-link", "write the address: [words](https://…)", "a link leads nowhere")
	case err != nil:
		l.Report.Fault(at(), "broken-link", "write it like https://example.com/page", "the link %q is no address", plain)
	case u.Scheme == "":
		l.Report.Fault(at(), "relative-link", "write it in full, with https://", "the link %q does not begin with https:// and leads nowhere from a mail", plain)
	case (u.Scheme == "http" || u.Scheme == "https") && (u.Host == "" || !strings.Contains(u.Host, ".")):
		l.Report.Fault(at(), "broken-link", "write the whole address", "the link %q has no host that a customer could reach", plain)
	case u.Scheme == "http":
		l.Report.Warn(at(), "plain-link", "write https://", "the link %q is not encrypted", plain)
	case u.Scheme != "https" && u.Scheme != "mailto" && u.Scheme != "tel" && u.Scheme != "sms":
		l.Report.Fault(at(), "broken-link", "use https://, mailto: or tel:", "mail clients do not follow %s: links", u.Scheme)
	}
}

func (l *Linter) image(n *html.Node) {
	src := attribute(n, "src")
	head := strings.FieldsFunc(src, func(r rune) bool { return liquid.IsPlaceholder(r) || r == '&' || r == '%' })
	at := l.BodyAt
	if len(head) > 0 {
		at = l.Find(head[0])
	}
	hasAlt := false
	for _, a := range n.Attr {
		hasAlt = hasAlt || a.Key == "alt"
	}
	linked := n.Parent != nil && n.Parent.Data == "a" && n.Parent.FirstChild == n && n.NextSibling == nil
	if !hasAlt || attribute(n, "alt") == "" && (linked || strings.Contains(l.Body, "![]")) {
		l.Report.Warn(at, "image-alt", "say what it shows: ![words](https://…)", "a picture has no words for those who do not see it; many mail clients hide pictures at first")
	}
	switch {
	case strings.HasPrefix(src, "https://"), strings.HasPrefix(src, "cid:"), strings.ContainsFunc(src, liquid.IsPlaceholder) && liquid.IsPlaceholder([]rune(src)[0]):
	case strings.HasPrefix(src, "http://"):
		l.Report.Warn(at, "plain-link", "write https://", "the picture %q is not encrypted; many mail clients do not load it", src)
	case strings.HasPrefix(src, "data:"):
		l.Report.Warn(at, "client-support", "put the picture on your web site and write its address", "Gmail and Outlook do not show pictures within the text (data:)")
	default:
		l.Report.Fault(at, "relative-link", "write it in full, with https://", "the picture %q does not begin with https:// and is not found from a mail", src)
	}
}

// poorElements and poorCSS are what the larger mail clients (Gmail, Outlook for Windows, QQ Mail) leave out, after caniemail.com.
var poorElements = map[string]string{
	"picture": "use <img>", "details": "show it all", "dialog": "show it in the text", "canvas": "use a picture", "math": "use a picture", "marquee": "let it stand still",
	"select": "link to a page", "textarea": "link to a page", "template": "remove it", "meter": "write the number", "progress": "write the number",
}

var poorCSS = []struct {
	re      *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)position\s*:\s*(absolute|fixed|sticky|relative)`), "use a table"},
	{regexp.MustCompile(`(?i)display\s*:\s*(inline-)?(flex|grid)`), "use a table"},
	{regexp.MustCompile(`(?i)\bvar\(--`), "write the value"},
	{regexp.MustCompile(`(?i)@import|@font-face`), "use fonts that are there: Arial, sans-serif"},
	{regexp.MustCompile(`(?i)\b(animation|transition|transform|filter|clip-path|object-fit)\s*:`), "leave it out"},
	{regexp.MustCompile(`(?i)background(-image)?\s*:[^;]*(url|gradient)\(`), "use background-color; Outlook shows no pictures behind text"},
	{regexp.MustCompile(`(?i)\bcalc\(`), "write the value"},
	{regexp.MustCompile(`(?i):\s*-?[\d.]+(rem|vw|vh)\b`), "write px or %"},
	{regexp.MustCompile(`(?i)\bfloat\s*:\s*(left|right)`), "use a table"},
}

func (l *Linter) css(css string) {
	for _, p := range poorCSS {
		if m := p.re.FindString(css); m != "" && l.Once(p.re.String()+l.Layout) {
			l.Report.Warn(l.Find(strings.TrimSpace(m)), "client-support", p.instead, "common mail clients do not know %q", strings.TrimSpace(m))
		}
	}
}

type colour struct{ r, g, b float64 }

var hexColour = regexp.MustCompile(`^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$`)

// readColour knows hexadecimal colours and the few names that mails use.
func readColour(s string) (colour, bool) {
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "!important"))
	switch strings.ToLower(s) {
	case "white":
		s = "#ffffff"
	case "black":
		s = "#000000"
	}
	if !hexColour.MatchString(s) {
		return colour{}, false
	}
	s = s[1:]
	if len(s) == 3 {
		s = string([]byte{s[0], s[0], s[1], s[1], s[2], s[2]})
	}
	n, _ := strconv.ParseUint(s, 16, 32)
	return colour{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}, true
}

// ratio is the contrast ratio of WCAG 2.2.
func ratio(a, b colour) float64 {
	light := func(c colour) float64 {
		channel := func(v float64) float64 {
			if v /= 255; v <= 0.04045 {
				return v / 12.92
			} else { //nolint:revive // both belong together
				return math.Pow((v+0.055)/1.055, 2.4)
			}
		}
		return 0.2126*channel(c.r) + 0.7152*channel(c.g) + 0.0722*channel(c.b)
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// look is how an element is shown.
type look struct{ ink, ground colour }

// darkRules reads the rules for dark mode out of the style element that inlining left.
var (
	darkMedia = regexp.MustCompile(`(?is)@media[^{]*prefers-color-scheme\s*:\s*dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}`)
	oneRule   = regexp.MustCompile(`(?s)([^{}]+)\{([^{}]*)\}`)
)

type darkRule struct {
	selector cascadia.Sel
	name     string
	style    string
}

func darkRules(doc *html.Node) []darkRule {
	var rules []darkRule
	for n := range doc.Descendants() {
		if n.Data != "style" || n.FirstChild == nil {
			continue
		}
		for _, media := range darkMedia.FindAllStringSubmatch(n.FirstChild.Data, -1) {
			for _, r := range oneRule.FindAllStringSubmatch(media[1], -1) {
				for one := range strings.SplitSeq(r[1], ",") {
					if sel, err := cascadia.Parse(strings.TrimSpace(one)); err == nil {
						rules = append(rules, darkRule{sel, strings.TrimSpace(one), r[2]})
					}
				}
			}
		}
	}
	return rules
}

func styled(style, property string) string {
	for one := range strings.SplitSeq(style, ";") {
		name, v, _ := strings.Cut(one, ":")
		if strings.TrimSpace(strings.ToLower(name)) == property {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// contrast checks that words can be told from what is behind them (WCAG 2.2, 1.4.3: 4.5 to 1).
func (l *Linter) contrast(doc *html.Node, dark bool) {
	var rules []darkRule
	if dark {
		if rules = darkRules(doc); len(rules) == 0 {
			return // the mail client makes its own dark mode
		}
	}
	mode := "light"
	if dark {
		mode = "dark"
	}
	var visit func(n *html.Node, as look)
	visit = func(n *html.Node, as look) {
		if n.Type == html.ElementNode {
			if hidden(n) || n.Data == "head" {
				return
			}
			as = l.lookOf(n, as, rules)
			if ownWords(n) {
				if got := ratio(as.ink, as.ground); got < 4.5 {
					what, needle := "<"+n.Data+">", "<"+n.Data
					if class := attribute(n, "class"); class != "" {
						what, needle = "."+class, `class="`+class
					}
					if l.Once(fmt.Sprint("contrast", mode, what, l.Layout)) {
						l.Report.Warn(l.Find(needle), "contrast", "choose a darker or a lighter colour", "in %s mode the words of %s can hardly be read: contrast %.1f to 1, it should be 4.5", mode, what, got)
					}
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c, as)
		}
	}
	visit(doc, look{colour{0, 0, 0}, colour{255, 255, 255}})
}

func (l *Linter) lookOf(n *html.Node, as look, rules []darkRule) look {
	styles := []string{attribute(n, "style")}
	best := map[string]cascadia.Specificity{}
	winner := map[string]string{}
	for _, r := range rules {
		if !r.selector.Match(n) {
			continue
		}
		for _, property := range []string{"color", "background-color"} {
			if v := styled(r.style, property); v != "" {
				if before, ok := best[property]; !ok || !r.selector.Specificity().Less(before) {
					best[property], winner[property] = r.selector.Specificity(), v
				}
			}
		}
	}
	if n.Data == "a" && styled(styles[0], "color") == "" && winner["color"] == "" {
		as.ink = colour{0, 0, 238} // what browsers give links
	}
	for property, into := range map[string]*colour{"color": &as.ink, "background-color": &as.ground} {
		for _, v := range []string{styled(styles[0], property), winner[property]} {
			if c, ok := readColour(v); ok {
				*into = c
			}
		}
	}
	return as
}

// ownWords reports whether text stands directly in the element.
func ownWords(n *html.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode && strings.TrimSpace(c.Data) != "" {
			return true
		}
	}
	return false
}
