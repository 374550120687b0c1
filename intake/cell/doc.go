// Package cell reads what stands in a cell of a dealership's file: dates in every form that people write, birthdays of both calendars,
// mileages, telephone numbers, names and the words for yes, no and their like.
//
// It promises to guess nothing: what can be read in two ways, or in none, comes back with a reason. It knows no columns and no files.
package cell

// Why a cell is not taken. The reasons are part of what an import promises: they stand in the file of rejected rows.
const (
	NoDate       = "no such date"
	TwoWays      = "a date that can be read two ways: set date_format of the dealer in dealers.yaml, or --dates DMY, MDY or YMD"
	TwoYears     = "a year of two digits that can be read two ways: write four"
	NotMidnight  = "a moment that is not midnight at the dealer's: which day is meant?"
	NoLunar      = "no such lunar date"
	TwoCalendars = "the calendar and the words of the date say different things"
	InFuture     = "in the future"
	Negative     = "negative odometer"
	NoNumber     = "not a whole number"
	TwoNumbers   = "a number that can be read two ways: write it without a mark for thousands"
	TooFar       = "more than any car has driven"
	DigitsLost   = "phone in scientific notation: digits lost"
	NoPhone      = "not a phone number"
)
