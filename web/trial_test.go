package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/token"
)

// TestATrialsLinksChangeNothing presses every button of every page that a test message leads to.
func TestATrialsLinksChangeNothing(t *testing.T) {
	t.Parallel()
	for locale, ribbon := range map[string]string{"en": "Test: nothing on this page", "zh-CN": "测试页面"} {
		for purpose, forms := range map[token.Purpose][]url.Values{
			token.Unsubscribe: {
				{"List-Unsubscribe": {"One-Click"}},
				{},
				{"do": {"stop"}},
				{"do": {"all"}},
				{"do": {"calm"}},
				{"do": {"back"}},
				{"do": {"not_me"}},
				{"do": {"save"}, "was": {"way%3Aemail"}},
			},
			token.Survey:   {{"promise": {"1"}}, {"promise": {"5"}, "text": {"fine"}}},
			token.RSVP:     {{"answer": {"no"}}, {"answer": {"yes"}}},
			token.Odometer: {{"km": {"51000"}, "sure": {"1"}}, {"do": {"sold"}}, {"do": {"not_me"}}},
		} {
			for _, form := range forms {
				d := &memory{facts: facts(locale)}
				path := trialLink(purpose, care.Email)
				if page := get(t, handler(d), path); page.Code >= 500 || !strings.Contains(page.Body.String(), ribbon) {
					t.Fatalf("GET %c: %d without a ribbon:\n%s", purpose, page.Code, page.Body)
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := serve(t, handler(d), r)
				if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), ribbon) {
					t.Errorf("POST %c %v: %d\n%s", purpose, form, w.Code, w.Body)
				}
				if d.writes != 0 || len(d.told()) > 0 {
					t.Errorf("POST %c %v changed something: %v", purpose, form, d.told())
				}
			}
		}
	}
}

func trialLink(p token.Purpose, ch care.Channel) string {
	return "/" + string(rune(p)) + "/" + signer.Sign(token.Token{Purpose: p, Customer: "C1", Occurrence: "occ-1", Channel: ch, Trial: true})
}
