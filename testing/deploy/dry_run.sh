heartbeat_before=$(gcloud run services describe heartbeat --region=europe-west1 --project=example --quiet '--format=value(status.traffic.filter("percent=100").extract(revisionName).flatten())')
heartbeat_left=$(gcloud run services describe heartbeat --region=europe-west1 --project=example --quiet '--format=value(status.traffic.filter("tag:candidate").extract(revisionName).flatten())')
# Images
gcloud auth configure-docker europe-west1-docker.pkg.dev --project=example --quiet
heartbeat_image=$(scripts/image heartbeat --push europe-west1-docker.pkg.dev/example/coditect)
ops_image=$(scripts/image ops --push europe-west1-docker.pkg.dev/example/coditect)
gcloud run jobs update smoke "--image=${ops_image}" --region=europe-west1 --project=example --quiet
# The schema, and the roles that are new in it
gcloud run jobs update migrate "--image=${ops_image}" --region=europe-west1 --project=example --quiet
gcloud run jobs execute migrate --wait --region=europe-west1 --project=example --quiet
gcloud run jobs update roles "--image=${ops_image}" --region=europe-west1 --project=example --quiet
gcloud run jobs execute roles --wait --region=europe-west1 --project=example --quiet
# heartbeat: a revision without traffic, and its smoke test
gcloud run deploy heartbeat "--image=${heartbeat_image}" --no-traffic --tag=candidate --region=europe-west1 --project=example --quiet
heartbeat_new=$(gcloud run services describe heartbeat --region=europe-west1 --project=example --quiet '--format=value(status.traffic.filter("tag:candidate").extract(revisionName).flatten())')
heartbeat_url=$(gcloud run services describe heartbeat --region=europe-west1 --project=example --quiet '--format=value(status.traffic.filter("tag:candidate").extract(url).flatten())')
gcloud run jobs execute smoke "--args=smoke,heartbeat,${heartbeat_url}" --wait --region=europe-west1 --project=example --quiet
# 10 of 100 requests to the new revisions
gcloud run services update-traffic heartbeat "--to-revisions=${heartbeat_new}=10,${heartbeat_before}=90" --region=europe-west1 --project=example --quiet
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
heartbeat_requests=$(gcloud logging read "resource.type=cloud_run_revision AND resource.labels.service_name=heartbeat AND httpRequest.status>0 AND timestamp>=${since}" --bucket=coditect --location=europe-west1 --view=_AllLogs --limit=5000 '--format=json(resource.labels.revision_name,httpRequest.status,httpRequest.latency)' --project=example --quiet)
# 50 of 100 requests to the new revisions
gcloud run services update-traffic heartbeat "--to-revisions=${heartbeat_new}=50,${heartbeat_before}=50" --region=europe-west1 --project=example --quiet
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
heartbeat_requests=$(gcloud logging read "resource.type=cloud_run_revision AND resource.labels.service_name=heartbeat AND httpRequest.status>0 AND timestamp>=${since}" --bucket=coditect --location=europe-west1 --view=_AllLogs --limit=5000 '--format=json(resource.labels.revision_name,httpRequest.status,httpRequest.latency)' --project=example --quiet)
# 100 of 100 requests to the new revisions
gcloud run services update-traffic heartbeat "--to-revisions=${heartbeat_new}=100" "--update-tags=previous=${heartbeat_before}" --region=europe-west1 --project=example --quiet
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
heartbeat_requests=$(gcloud logging read "resource.type=cloud_run_revision AND resource.labels.service_name=heartbeat AND httpRequest.status>0 AND timestamp>=${since}" --bucket=coditect --location=europe-west1 --view=_AllLogs --limit=5000 '--format=json(resource.labels.revision_name,httpRequest.status,httpRequest.latency)' --project=example --quiet)
gcloud run services update-traffic heartbeat --remove-tags=candidate --region=europe-west1 --project=example --quiet
# Jobs
gcloud run jobs update outbox "--image=${ops_image}" --region=europe-west1 --project=example --quiet
gcloud run jobs update seat-usage "--image=${ops_image}" --region=europe-west1 --project=example --quiet
gcloud run jobs update stripe-retry "--image=${ops_image}" --region=europe-west1 --project=example --quiet
gcloud run jobs update sweep "--image=${ops_image}" --region=europe-west1 --project=example --quiet
# Done.
