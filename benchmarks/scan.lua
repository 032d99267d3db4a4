-- For wrk: asks /checkv2 about the messages of a folder in turn and tells the figures as JSON.
local requests, at = {}, 0

function init(arguments)
  for name in io.popen("ls -1 '" .. arguments[1] .. "'/*"):lines() do
    local file = io.open(name, "rb")
    local body = file:read("*a")
    file:close()
    local headers = {
      ["Host"] = "localhost",
      ["From"] = "a@example.org",
      ["Rcpt"] = arguments[2],
      ["Deliver-To"] = arguments[2],
      ["IP"] = "192.0.2.1",
      ["Helo"] = "mx.example.org",
      ["Queue-Id"] = "4ABC",
      ["Content-Length"] = tostring(#body),
    }
    requests[#requests + 1] = wrk.format("POST", "/checkv2", headers, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"n":%d,"seconds":%f,"p50":%f,"p99":%f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
