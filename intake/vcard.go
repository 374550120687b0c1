package intake

import (
	"context"
	"errors"
	"io"
)

func (d *reading) vcard(context.Context, io.Reader) error {
	return errors.New("vCards are not read yet: export them as CSV")
}
