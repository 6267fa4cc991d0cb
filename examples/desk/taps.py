"""Every accepted tap, as it comes: python3 taps.py [URL [TOKEN]] - without the token, names are masked."""
import json, sys, urllib.request

url, token = (sys.argv[1:] + ["http://127.0.0.1:7643", ""][len(sys.argv) - 1:])[:2]
request = urllib.request.Request(url + "/api/v1/events", headers={"Authorization": "Bearer " + token} if token else {})
seen = None
for line in urllib.request.urlopen(request):
    for tap in json.loads(line[6:]).get("last", [])[:1] if line.startswith(b"data: ") else []:
        if tap["outcome"] == "accepted" and "data" in tap and tap["id"] != seen:
            seen = tap["id"]
            print(tap["data"]["person"]["name"], tap["data"]["residence"]["relation"], flush=True)
