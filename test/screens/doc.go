// Package screens makes the pictures of the README: of the demo's page, and of mails and texts of the default book as a phone shows
// them. It runs by make screens (build tag screens).
package screens
