package care

// KMPerMile is the international mile.
const KMPerMile = 1.609344

// Miles reports whether distances are shown and read in miles: by units or, without it, by the country. Records always have km.
func (d *Dealer) Miles() bool {
	return d.Units == "mi" || d.Units == "" && (d.Country == "US" || d.Country == "GB")
}
