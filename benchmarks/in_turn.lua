-- Sends one request for each name in turn and reports at the end in one line of JSON, led by "report ".
--     wrk ... -s in_turn.lua URL -- METHOD PATH BODY PAUSE NAME...
-- PATH and BODY are formats with one %s for the name; an empty BODY is none. PAUSE: milliseconds before each request.

local requests, last, pause = {}, 0, 0

function init(args)
   local method, path, body = args[1], args[2], args[3]
   local headers = { ["Content-Type"] = "application/json" }
   pause = tonumber(args[4])
   if pause == 0 then
      delay = nil
   end
   for i = 5, #args do
      local filled = body ~= "" and string.format(body, args[i]) or nil
      requests[#requests + 1] = wrk.format(method, string.format(path, args[i]), filled and headers, filled)
   end
end

function delay()
   return pause
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency, _)
   local e = summary.errors
   local format = '"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "max": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d'
   print("report {" .. string.format(format, summary.requests, summary.duration, latency:percentile(50),
      latency:percentile(99), latency.max, e.connect, e.read, e.write, e.status, e.timeout) .. "}")
end
