package care

import "time"

// Announcement is how many messages of a dealer's program were seen beforehand for a local day.
type Announcement struct {
	Dealer, Program string
	Day             Date
	Messages        int
	At              time.Time // when; the zero time = confirmed by an operator, whenever it leaves
}

// Surge is what the brake holds back of a dealer's program on a local day: more than was announced, and far more than usual.
type Surge struct {
	Dealer, Program string
	Day             Date      // the first day that is held
	Planned         int       // messages of that day
	Allowed         int       // as many as may go on it
	Held            int       // messages that wait, of all days
	Until           time.Time // when the first of them expires
}
