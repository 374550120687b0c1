package carebook

import (
	"regexp"
	"testing"
	"time"

	"github.com/carebell/carebell/care"
	"github.com/carebell/carebell/care/record"
	"github.com/carebell/carebell/care/token"
)

// TestPreviewsAndTrialsHaveLinksThatChangeNothing follows the link to opt out of a real customer's message.
func TestPreviewsAndTrialsHaveLinksThatChangeNothing(t *testing.T) {
	t.Parallel()
	signer := token.NewSigner([]byte("a key of the tests, 32 bytes long"))
	customer, defects, err := record.Decode([]byte(`{"id":"C1","dealer":"example","name":"Ann","email":"ann@example.com","locale":"en","birthday":"1985-12-20"}`))
	if err != nil || len(defects) > 0 {
		t.Fatal(err, defects)
	}
	link := regexp.MustCompile(`https://care\.example/u/([\w-]+)`)
	for _, trial := range []bool{false, true} {
		book, err := Open(Options{Signer: signer, PublicURL: "https://care.example", Trial: trial, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		shown, err := book.Preview(PreviewOptions{Template: "birthday", Channel: care.Email, Customer: &care.Facts{ID: "C1", Customer: customer}, Now: previewNow})
		if err != nil {
			t.Fatal(err)
		}
		occ := book.next(&care.Facts{ID: "C1", Customer: customer}, "birthday", previewNow)
		sent, err := book.Templates.Render(book.Draft(customer, book.Book.Dealers[0], occ, care.Email, previewNow))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			text []byte
			want bool
		}{{"preview", shown[0].Text, true}, {"message", sent.Text, trial}} {
			found := link.FindSubmatch(c.text)
			if found == nil {
				t.Fatalf("%s: no link in %s", c.name, c.text)
			}
			if tok, err := signer.Verify(token.Unsubscribe, string(found[1])); err != nil || tok.Trial != c.want || tok.Customer != "C1" {
				t.Errorf("%s, trial %v: %+v, %v", c.name, trial, tok, err)
			}
		}
	}
}
