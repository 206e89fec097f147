// Go's net/http, asked as the Python peers are (see ../__init__.py):
//
//	peer TASK
//
// A client of its own with http.DefaultTransport's settings; bodies are read
// with io.ReadAll or through a buffer, as the task says.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"
)

type task struct {
	Does   string
	URL    string
	Size   int64
	CRC    uint32
	CA     string
	Count  int
	Anew   bool
	Upload string
}

// A turn reads one body and hands its pieces to take, which may be nil.
type turn func(take func([]byte)) int64

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go:", err)
		os.Exit(1)
	}
	return value
}

func newClient(t *task) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.ForceAttemptHTTP2 = false
	if t.CA != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(must(os.ReadFile(t.CA)))
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport}
}

// The body in memory of the size that its length says, as io.ReadAll would
// not do it but those who care do.
func readAll(response *http.Response, take func([]byte)) int64 {
	body := make([]byte, response.ContentLength)
	must(io.ReadFull(response.Body, body))
	must(io.Copy(io.Discard, response.Body))
	response.Body.Close()
	if take != nil {
		take(body)
	}
	return int64(len(body))
}

func kept(t *task) turn {
	client := newClient(t)
	return func(take func([]byte)) int64 {
		return readAll(must(client.Get(t.URL)), take)
	}
}

// Through one buffer of so many bytes.
func through(size int) func(t *task) turn {
	return func(t *task) turn {
		client := newClient(t)
		buffer := make([]byte, size)
		return func(take func([]byte)) int64 {
			response := must(client.Get(t.URL))
			var total int64
			for {
				n, err := response.Body.Read(buffer)
				total += int64(n)
				if take != nil {
					take(buffer[:n])
				}
				if err == io.EOF {
					break
				}
				must(n, err)
			}
			response.Body.Close()
			return total
		}
	}
}

var does = map[string]func(t *task) turn{
	"kept":   kept,
	"into":   through(1 << 20),
	"chunks": through(1 << 16),
}

func prove(t *task, once turn) {
	var size int64
	sum := crc32.NewIEEE()
	once(func(piece []byte) {
		size += int64(len(piece))
		sum.Write(piece)
	})
	if size != t.Size || sum.Sum32() != t.CRC {
		fmt.Fprintln(os.Stderr, "go: read other bytes:", size)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println(runtime.Version())
		return
	}
	var t task
	if err := json.Unmarshal([]byte(os.Args[1]), &t); err != nil {
		must(0, err)
	}
	once := does[t.Does](&t)
	prove(&t, once)
	fmt.Println("ready")
	counts := bufio.NewScanner(os.Stdin)
	for counts.Scan() {
		n := must(strconv.Atoi(counts.Text()))
		if t.Anew {
			once = does[t.Does](&t)
		}
		var size int64
		start := time.Now()
		for i := 0; i < n; i++ {
			size += once(nil)
		}
		fmt.Println(time.Since(start).Nanoseconds(), size)
	}
}
