// Privet-verify checks an audit log of Privet with the Go team's own code for transparency logs
// (golang.org/x/mod/sumdb/note and tlog), and with nothing of Privet's.
//
//	privet-verify -key KEY -dir DIR [-since CHECKPOINT]... [-from INDEX]
//	privet-verify -key KEY -proof FILE
//
// It ends with 0 when everything holds, and with 1 when not, naming the first bad entry where one
// can be named. KEY is the log's public key (name+hash+base64), or a file that holds it.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of a tile: 256 hashes

type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

func main() {
	var since files
	key := flag.String("key", "", "the log's public key, or a file that holds it")
	dir := flag.String("dir", "", "the log's folder")
	proof := flag.String("proof", "", "a file that `privet audit prove` wrote, instead of a folder")
	from := flag.Int64("from", 0, "the first entry that is still there, where older ones were removed after their time")
	flag.Var(&since, "since", "a checkpoint that was kept elsewhere; may be given several times")
	flag.Parse()
	if *key == "" || (*dir == "") == (*proof == "") {
		flag.Usage()
		os.Exit(2)
	}
	verifier, err := readKey(*key)
	if err == nil && *proof != "" {
		err = checkProof(verifier, *proof)
	} else if err == nil {
		err = checkLog(verifier, *dir, since, *from)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "privet-verify: FAILED:", err)
		os.Exit(1)
	}
}

func readKey(key string) (note.Verifier, error) {
	if strings.Count(key, "+") < 2 {
		text, err := os.ReadFile(key)
		if err != nil {
			return nil, err
		}
		key = string(text)
	}
	return note.NewVerifier(strings.TrimSpace(key))
}

// openCheckpoint reads a checkpoint (C2SP tlog-checkpoint) that the key signed.
func openCheckpoint(verifier note.Verifier, msg []byte) (tlog.Tree, error) {
	var tree tlog.Tree
	n, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, errors.New("not a checkpoint of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil || tree.N < 0 {
		return tree, errors.New("the checkpoint has no size")
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// folder reads tiles. C2SP tlog-tiles and Go name them alike, but for Go's height: tile/8/0/000.
type folder string

func (folder) Height() int                         { return height }
func (folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, 0, len(tiles))
	for _, t := range tiles {
		data, err := f.read(strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		if len(data) < t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is too short", t.Path())
		}
		all = append(all, data[:t.W*tlog.HashSize])
	}
	return all, nil
}

// read reads a tile or bundle; where an unfinished one is gone, the finished one that replaced it.
func (f folder) read(path string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), path))
	if at := strings.Index(path, ".p/"); at >= 0 && errors.Is(err, os.ErrNotExist) {
		return os.ReadFile(filepath.Join(string(f), path[:at]))
	}
	return data, err
}

// cache keeps hashes that were proved: those of the bundle at hand, and those above all bundles.
type cache struct {
	from  tlog.HashReader
	near  map[int64]tlog.Hash
	above map[int64]tlog.Hash
}

func (c *cache) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var missing []int64
	for _, x := range indexes {
		if _, ok := c.near[x]; !ok {
			if _, ok := c.above[x]; !ok {
				missing = append(missing, x)
			}
		}
	}
	if len(missing) > 0 {
		found, err := c.from.ReadHashes(missing)
		if err != nil {
			return nil, err
		}
		for i, x := range missing {
			c.above[x] = found[i]
		}
	}
	all := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hash, ok := c.near[x]
		if !ok {
			hash = c.above[x]
		}
		all[i] = hash
	}
	return all, nil
}

func checkLog(verifier note.Verifier, dir string, since files, from int64) error {
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(verifier, msg)
	if err != nil {
		return fmt.Errorf("the log's checkpoint: %w", err)
	}
	proved := tlog.TileHashReader(tree, folder(dir))
	for _, file := range since {
		if err := checkSince(verifier, tree, proved, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	reader := &cache{from: proved, above: map[int64]tlog.Hash{}}
	from = from >> height << height // Whole bundles are removed.
	for first := from; first < tree.N; first += 1 << height {
		end := first + 1<<height
		if end > tree.N {
			end = tree.N
		}
		if err := checkBundle(tree, reader, folder(dir), first, end); err != nil {
			return err
		}
	}
	fmt.Printf("ok: %d entries from %d on, each proved to be under the signed root\n", tree.N-from, from)
	return nil
}

// checkSince proves that the log continues a checkpoint that was kept elsewhere.
func checkSince(verifier note.Verifier, tree tlog.Tree, proved tlog.HashReader, file string) error {
	msg, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := openCheckpoint(verifier, msg)
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return fmt.Errorf("%d entries were kept, %d are published: entry %d is gone", old.N, tree.N, tree.N)
	}
	if old.N > 0 { // The Go code knows no proof for nothing.
		proof, err := tlog.ProveTree(tree.N, old.N, proved)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("the first %d entries are not those that were kept: %w", old.N, err)
		}
	}
	fmt.Printf("ok: continues the checkpoint of %d entries you kept\n", old.N)
	return nil
}

// checkBundle proves every entry of one bundle of at most 256.
func checkBundle(tree tlog.Tree, reader *cache, dir folder, first, end int64) error {
	t := tlog.Tile{H: height, L: 0, N: first >> height, W: int(end - first)}
	path := strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)
	bundle, err := dir.read(path)
	if err != nil {
		return fmt.Errorf("entry %d: %w", first, err)
	}
	// All hashes within the bundle at once; those that fail are asked for again one by one below.
	var near []int64
	for level := 0; level < height; level++ {
		for n := first >> level; (n+1)<<level <= end; n++ {
			near = append(near, tlog.StoredHashIndex(level, n))
		}
	}
	reader.near = map[int64]tlog.Hash{}
	if hashes, err := reader.from.ReadHashes(near); err == nil {
		for i, x := range near {
			reader.near[x] = hashes[i]
		}
	}
	for n := first; n < end; n++ {
		if len(bundle) < 2 || len(bundle) < 2+(int(bundle[0])<<8|int(bundle[1])) {
			return fmt.Errorf("entry %d: %s ends too early", n, path)
		}
		size := 2 + (int(bundle[0])<<8 | int(bundle[1]))
		hash := tlog.RecordHash(bundle[2:size])
		bundle = bundle[size:]
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, hash); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
	if len(bundle) > 0 && end-first == 1<<height {
		return fmt.Errorf("entry %d: %s goes on behind it", end-1, path)
	}
	return nil
}

// checkProof checks a file in the form of C2SP tlog-proof that carries its entry.
func checkProof(verifier note.Verifier, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" ||
		!strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return errors.New("not a tlog-proof that carries its entry")
	}
	entry, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(lines[2][len("index "):], 10, 64)
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(verifier, checkpoint)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Printf("ok: entry %d of %d is %q\n", index, tree.N, entry)
	return nil
}
