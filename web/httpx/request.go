package httpx

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/carebell/carebell/care/texts"
)

// MaxForm bounds what a page or a call of the API takes, in bytes.
const MaxForm = 64 << 10

// Route is one address of a listener, by the pattern of http.ServeMux.
type Route struct {
	Pattern string
	Handler http.HandlerFunc
}

// ReadForm reads a body as RFC 8058 section 3.2 wants it, urlencoded or multipart, and answers itself if it cannot be read.
func ReadForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	var err error
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		err = r.ParseMultipartForm(MaxForm) //nolint:gosec // the body is bounded above
		defer func() {
			if r.MultipartForm != nil {
				_ = r.MultipartForm.RemoveAll()
			}
		}()
	} else {
		err = r.ParseForm()
	}
	if err == nil {
		return true
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || r.ContentLength > MaxForm {
		Plain(w, http.StatusRequestEntityTooLarge, texts.Every("page.too_large")+"\n")
		return false
	}
	Plain(w, http.StatusBadRequest, texts.Every("page.unreadable")+"\n")
	return false
}

// TooMany asks a client to wait.
func TooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "30")
	Plain(w, http.StatusTooManyRequests, texts.Every("page.too_many")+"\n")
}

// Unavailable asks a person to come back.
func Unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "30")
	Plain(w, http.StatusServiceUnavailable, texts.Every("page.try_again")+"\n")
}

// JSON answers a program.
func JSON(w http.ResponseWriter, log *slog.Logger, status int, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		log.Error("an answer of the API could not be made", slog.Any("error", err))
		status, raw = http.StatusInternalServerError, []byte(`{"error":"the answer could not be made"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}

// SecretOf returns a bearer token (RFC 6750) or the password of basic authentication.
func SecretOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	return ""
}

// SameSecret compares hashes, which have one length, so that it takes the same time whatever was guessed.
func SameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
