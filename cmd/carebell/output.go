package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
	"github.com/spf13/cobra"
)

// formatFlag adds --format to a command that prints rows.
func formatFlag(cmd *cobra.Command) *string {
	format := cmd.Flags().String("format", "table", "how rows are printed: table or jsonl")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "jsonl"}, cobra.ShellCompDirectiveNoFileComp))
	return format
}

// rows prints rows as they come: JSON lines at once, a table when it is complete, because its columns are as wide as their
// widest cell.
type rows struct {
	w      io.Writer
	jsonl  bool
	header []string
	cells  [][]string
	json   *json.Encoder
}

func newRows(w io.Writer, format string, header ...string) (*rows, error) {
	switch format {
	case "table", "jsonl":
	default:
		return nil, &misuse{fmt.Errorf("--format %s: it is table or jsonl", format)}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &rows{w: w, jsonl: format == "jsonl", header: header, json: enc}, nil
}

// add prints value as a JSON line, or keeps the cells for the table.
func (r *rows) add(value any, cells ...string) error {
	if r.jsonl {
		return r.json.Encode(value)
	}
	r.cells = append(r.cells, cells)
	return nil
}

// end prints the table, or says that there is nothing to print.
func (r *rows) end(none string) error {
	if r.jsonl {
		return nil
	}
	if len(r.cells) == 0 {
		_, err := fmt.Fprintln(r.w, none)
		return err
	}
	return printTable(r.w, r.header, r.cells)
}

// printTable aligns columns by the width that a terminal gives them: a Chinese character takes two cells.
func printTable(w io.Writer, header []string, cells [][]string) error {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, cells...) {
		for i, c := range row {
			widths[i] = max(widths[i], displaywidth.String(c))
		}
	}
	for _, row := range append([][]string{header}, cells...) {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(c)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-displaywidth.String(c)+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
