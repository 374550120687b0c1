// Package record reads customer records: the JSON documents at care:customer:<id> that a dealership's systems write.
//
// It promises a tolerant reading. A field that cannot be used costs that field and no other, and is reported with its JSON path.
// A defect in consent, preferences, holds or sold_on fails closed: the customer gets nothing but safety notices until it is mended.
// What is returned is sound: ids are valid and unique, dates exist, numbers are not negative. Nothing of it shares memory with the
// document or with another customer, and no text of the document stands in an error or a message.
//
// It does not say what is due, does not look into the care book, and does not write records: package intake merges them.
package record
