package main

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/carebell/carebell/intake"
	"github.com/carebell/carebell/service/operate"
	"github.com/spf13/cobra"
)

// importing is what the command line of import says.
type importing struct {
	operate.ImportOptions
	book             string
	columns, recalls bool
	makes            []string
	watch            string
	every            time.Duration
}

func newImport() *cobra.Command {
	var opt importing
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Merge customers from CSV, XLSX, vCard or JSON lines into Redis",
		Long: "Merge customers into Redis. Only columns that a file has are set, and a blank changes nothing. Rows that cannot be used\n" +
			"change nothing and go into FILE.rejected.csv with the reasons; but a no, a death or a sale in them counts. The status is 1 if a file\nhas no row that could be used. The file - is standard input.\n\n" +
			"With --watch the files that appear in a folder are imported and moved to done/ or failed/, with their report, until it is stopped.\n\n" +
			"With --full the files are all customers of their dealers: who is missing is listed, and with --remove-missing gets only safety\nmessages until a file has them again.\n\n" +
			"With --recalls the files are recalls in NHTSA's flat format and become bulletins of the care book, switched off until\nsomebody has read them.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			opt.Files = files
			return opt.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Dealer, "dealer", "", "the dealer of rows that name none (default: the only one in the book)")
	f.StringVar(&opt.Map, "map", "", "a YAML file with more column names, 手机: phone, and with columns to join, First + Last: name")
	f.StringVar(&opt.Dates, "dates", "", "the order of day, month and year where a date could be read two ways: DMY, MDY or YMD (default: the dealer's date_format)")
	f.StringVar(&opt.Encoding, "encoding", "", "UTF-8, UTF-16LE, UTF-16BE, GB18030, Big5 or Windows-1252 (default: by evidence)")
	f.StringVar(&opt.Sheet, "sheet", "", "the sheet of a workbook (default: all that are visible)")
	f.StringVar(&opt.IDFrom, "id-from", "", "phone or email: the customer's id of vCards without a UID")
	f.StringVar(&opt.watch, "watch", "", "a folder: import the files that appear in it")
	f.DurationVar(&opt.every, "every", operate.FolderEvery, "with --watch: the time between two looks; a file that stood still in between is read")
	f.BoolVar(&opt.Full, "full", false, "the files are all customers of their dealers: say who is missing")
	f.BoolVar(&opt.RemoveMissing, "remove-missing", false, "with --full: mark who is missing as gone")
	f.Float64Var(&opt.MostMissing, "most-missing", 5, "with --remove-missing: mark nobody if more than so many in a hundred of a dealer's customers are missing")
	f.BoolVar(&opt.columns, "columns", false, "print every field with the headers that are known for it, and read nothing")
	f.BoolVar(&opt.recalls, "recalls", false, "the files are recalls in NHTSA's flat format: write bulletins into the book")
	f.StringSliceVar(&opt.makes, "make", nil, "with --recalls: only these makes (default: those of the dealers' intervals)")
	f.BoolVar(&opt.DryRun, "dry-run", false, "read, check and count everything, and change nothing")
	f.StringVar(&opt.book, "book", "", "the care book's folder (default: CARE_BOOK, else the default book)")
	return cmd
}

// check says what is wrong with the command line.
func (opt *importing) check() error {
	switch {
	case opt.watch == "" && len(opt.Files) == 0:
		return errors.New("import needs a file, or --watch with a folder")
	case opt.watch != "" && len(opt.Files) > 0:
		return errors.New("--watch takes the files of its folder: name no other")
	case opt.watch != "" && opt.DryRun:
		return errors.New("--watch moves the files it has imported: it goes with no --dry-run")
	case opt.every < time.Second:
		return errors.New("--every: write at least 1s")
	}
	return opt.Check()
}

func (opt *importing) run(cmd *cobra.Command) error {
	if opt.columns {
		return intake.PrintColumns(cmd.OutOrStdout())
	}
	if err := opt.check(); err != nil {
		return &misuse{err}
	}
	s, err := start(cmd, opt.book)
	if err != nil {
		return err
	}
	defer s.close()
	if opt.recalls {
		return importRecalls(s, cmp.Or(opt.book, s.env.Settings.Book), operate.RecallOptions{Files: opt.Files, Makes: opt.makes, DryRun: opt.DryRun}, cmd.OutOrStdout())
	}
	if _, err := s.book(); err != nil {
		return err
	}
	if err := s.connect(cmd.Context()); err != nil {
		if !opt.DryRun || opt.Full {
			return err
		}
		s.env.Log.Warn("Redis does not answer: every customer of the files counts as new", slog.Any("error", err))
	}
	opt.Stdin = cmd.InOrStdin()
	if opt.watch != "" {
		return opt.follow(cmd, s)
	}
	opt.Progress = newProgress(cmd.ErrOrStderr())
	report, err := s.operate().Import(cmd.Context(), s.who, opt.ImportOptions)
	if report != nil {
		if err := report.Print(cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if report.Nothing() {
		return errQuiet
	}
	return nil
}

// follow imports what appears in a folder until the command is stopped. The care book is read anew for each file.
func (opt *importing) follow(cmd *cobra.Command, s *session) error {
	service := s.operate()
	service.Book = s.readBook
	folder := operate.Folder{Service: service, Who: s.who, Dir: opt.watch, Every: opt.every, Options: opt.ImportOptions}
	return folder.Run(cmd.Context())
}

func importRecalls(s *session, dir string, opt operate.RecallOptions, w io.Writer) error {
	if dir == "" {
		return errors.New("recalls go into a care book: name it with --book or CARE_BOOK")
	}
	book, err := s.book()
	if err != nil {
		return err
	}
	return operate.ImportRecalls(dir, book.Book, opt, w)
}
