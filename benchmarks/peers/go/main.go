// Go's net/http, asked as the Python peers are (see ../__init__.py):
//
//	peer TASK
//
// Clients have http.DefaultTransport's settings but for what the task wants.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type task struct {
	Does      string
	URL       string
	Size      int64
	CRC       uint32
	CA        string
	Count     int
	Anew      bool
	Addresses int
	Upload    string
	Memory    string
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

func newTransport(t *task) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.ForceAttemptHTTP2 = false
	if t.CA != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(must(os.ReadFile(t.CA)))
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return transport
}

// The body in memory of the size that its length says: io.ReadAll would let it
// grow.
func readAll(response *http.Response, take func([]byte)) int64 {
	var body []byte
	if response.ContentLength < 0 {
		body = must(io.ReadAll(response.Body))
	} else {
		body = make([]byte, response.ContentLength)
		must(io.ReadFull(response.Body, body))
	}
	must(io.Copy(io.Discard, response.Body))
	response.Body.Close()
	if take != nil {
		take(body)
	}
	return int64(len(body))
}

// With a transport that is changed like that.
func get(change func(*http.Transport)) func(t *task) turn {
	return func(t *task) turn {
		transport := newTransport(t)
		change(transport)
		client := &http.Client{Transport: transport}
		return func(take func([]byte)) int64 {
			return readAll(must(client.Get(t.URL)), take)
		}
	}
}

func unchanged(*http.Transport) {}

func decoded(transport *http.Transport) {
	transport.DisableCompression = false
}

func connect(transport *http.Transport) {
	transport.DisableKeepAlives = true
}

func resume(transport *http.Transport) {
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
}

func threads(transport *http.Transport) {
	transport.MaxIdleConnsPerHost = 100
}

func limited(transport *http.Transport) {
	transport.MaxConnsPerHost = 4
	transport.MaxIdleConnsPerHost = 4
}

func anew(t *task) turn {
	return func(take func([]byte)) int64 {
		transport := newTransport(t)
		client := &http.Client{Transport: transport}
		n := readAll(must(client.Get(t.URL)), take)
		transport.CloseIdleConnections()
		return n
	}
}

// Through one buffer of so many bytes.
func through(size int) func(t *task) turn {
	return func(t *task) turn {
		client := &http.Client{Transport: newTransport(t)}
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

// How many kB are resident.
func resident() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	status := string(must(os.ReadFile("/proc/self/status")))
	_, status, _ = strings.Cut(status, "VmRSS:")
	return must(strconv.ParseInt(strings.Fields(status)[0], 10, 64))
}

// n connections that have served a request and are kept.
func idle(t *task, n int) int64 {
	transport := newTransport(t)
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = n + 1
	client := &http.Client{Transport: transport}
	readAll(must(client.Get(t.URL)), nil)
	before := resident()
	asked := make([]*http.Response, n)
	for i := range asked {
		asked[i] = must(client.Get(t.URL))
	}
	for _, response := range asked {
		readAll(response, nil)
	}
	asked = nil
	grown := (resident() - before) * 1024
	readAll(must(client.Get(t.URL)), nil) // else all might be collected
	return grown
}

func post(t *task) turn {
	client := &http.Client{Transport: newTransport(t)}
	data := must(os.ReadFile(t.Upload))
	return func(take func([]byte)) int64 {
		return readAll(must(client.Post(t.URL, "", bytes.NewReader(data))), take)
	}
}

func postFile(t *task) turn {
	client := &http.Client{Transport: newTransport(t)}
	return func(take func([]byte)) int64 {
		file := must(os.Open(t.Upload))
		request := must(http.NewRequest("POST", t.URL, file))
		request.ContentLength = must(file.Stat()).Size()
		return readAll(must(client.Do(request)), take)
	}
}

var does = map[string]func(t *task) turn{
	"kept":      get(unchanged),
	"into":      through(1 << 20),
	"chunks":    through(1 << 16),
	"connect":   get(connect),
	"resume":    get(resume),
	"anew":      anew,
	"decoded":   get(decoded),
	"threads":   get(threads),
	"limited":   get(limited),
	"post":      post,
	"post_file": postFile,
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

// As many goroutines as the task counts share the turns.
func run(t *task, once turn, n int64) int64 {
	var size, taken int64
	if t.Count < 2 {
		for i := int64(0); i < n; i++ {
			size += once(nil)
		}
		return size
	}
	var all sync.WaitGroup
	for i := 0; i < t.Count; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for atomic.AddInt64(&taken, 1) <= n {
				atomic.AddInt64(&size, once(nil))
			}
		}()
	}
	all.Wait()
	return size
}

// With a client of its own, and the next address.
func again(t task, counts int) turn {
	host := fmt.Sprintf("127.0.0.%d", counts%t.Addresses+1)
	t.URL = strings.Replace(t.URL, "127.0.0.1", host, 1)
	return does[t.Does](&t)
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
	if t.Memory != "" {
		fmt.Println("ready")
		var n int
		must(fmt.Scan(&n))
		fmt.Println(0, idle(&t, n))
		return
	}
	once := does[t.Does](&t)
	prove(&t, once)
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for counts := 1; lines.Scan(); counts++ {
		n := must(strconv.ParseInt(lines.Text(), 10, 64))
		if t.Anew {
			once = again(t, counts)
		}
		start := time.Now()
		size := run(&t, once, n)
		fmt.Println(time.Since(start).Nanoseconds(), size)
	}
}
