package mail

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vanng822/go-premailer/premailer"

	"github.com/carebell/carebell/templates/liquid"
)

// Compose makes the page of a mail: the body in its layout, at the placeholder content, with the CSS in the elements. layout may be "".
func Compose(layout, body string, content rune, t *liquid.Tags, report liquid.Reporter) (*Page, bool) {
	// Without a body element a tag at the very beginning would stand outside of the page.
	whole := "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>\n" + body + "</body></html>"
	if layout != "" {
		whole = strings.Replace(layout, string(content), body, 1)
	}
	safe, ok := protect(whole, true, t, report)
	if !ok {
		return nil, false
	}
	mailer, err := premailer.NewPremailerFromString(safe, premailer.NewOptions(premailer.WithCssToAttributes(false)))
	if err == nil {
		whole, err = mailer.Transform()
	}
	if err != nil {
		report.Fault(liquid.Position{File: t.File()}, "html", "check the layout's HTML and CSS", "the layout cannot be read: %v", err)
		return nil, false
	}
	return contextsOf(tidy(outlookButtons(unprotect(whole)), t), t, report)
}

var voidTag = regexp.MustCompile(`(<(?:area|br|col|hr|img|meta|source|track|wbr)\b[^<>]*?) ?/>`)

// tidy writes the page as people would: no space at the edges of lines, no empty lines, no line for a control tag alone, void
// elements as HTML has them. What is preformatted stays as it is.
func tidy(page string, t *liquid.Tags) string {
	page = strings.ReplaceAll(voidTag.ReplaceAllString(page, "$1>"), `<style type="text/css">`, "<style>")
	var b strings.Builder
	b.Grow(len(page))
	kept := 0 // preformatted elements that are open
	for line := range strings.SplitAfterSeq(page, "\n") {
		before := kept
		kept += strings.Count(line, "<pre") - strings.Count(line, "</pre>")
		if before > 0 || kept > 0 {
			b.WriteString(line)
			continue
		}
		switch only := strings.TrimSpace(line); {
		case only == "":
		case t.OnlyControl(only):
			b.WriteString(only)
		default:
			b.WriteString(only)
			if strings.HasSuffix(line, "\n") {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// outlookButtons gives Outlook on Windows, which ignores the padding of links, a table cell around each button.
func outlookButtons(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "<a ")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := strings.Index(s[i:], ">")
		shut := strings.Index(s[i:], "</a>")
		if end < 0 || shut < 0 {
			b.WriteString(s)
			return b.String()
		}
		open := s[i : i+end+1]
		b.WriteString(s[:i])
		if background := declared(open, "background-color"); background != "" && strings.Contains(open, `class="button"`) {
			padding := declared(open, "padding")
			if padding == "" {
				padding = "12px 24px"
			}
			fmt.Fprintf(&b, `<!--[if mso]><table role="presentation" cellspacing="0" cellpadding="0"><tr><td bgcolor="%s" style="padding:%s"><![endif]-->`, background, padding)
			b.WriteString(s[i : i+shut+4])
			b.WriteString(`<!--[if mso]></td></tr></table><![endif]-->`)
		} else {
			b.WriteString(s[i : i+shut+4])
		}
		s = s[i+shut+4:]
	}
}

// declared returns the value of a CSS property in the style attribute of a start tag, if it is a plain one.
func declared(open, property string) string {
	_, style, ok := strings.Cut(open, `style="`)
	if !ok {
		return ""
	}
	style, _, _ = strings.Cut(style, `"`)
	for one := range strings.SplitSeq(style, ";") {
		name, v, _ := strings.Cut(one, ":")
		v = strings.TrimSpace(v)
		if strings.TrimSpace(name) == property && !strings.ContainsAny(v, `<>&'"`) {
			return v
		}
	}
	return ""
}
