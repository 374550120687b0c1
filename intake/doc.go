// Package intake turns the files that dealerships have into patches of customer records: CSV in UTF-8 or GB18030, JSONL, XLSX
// and vCard.
//
// It promises that an import is a merge: only what a file says is set, a blank changes nothing, vehicles match by id, visits by
// order or else by date, and fields that it does not know stay as they are. A row is taken whole or not at all: one with a fault
// changes nothing, and comes back in a file of its own with the column and the reason. Nothing is repaired by guessing: a phone
// number in scientific notation, a date that does not exist or a lunar month that a year did not have is refused.
//
// It does not know where records are kept: batches of patches go to a function, which joins each with the record by MergeRecord.
// It reads no clock; today is handed in.
package intake
