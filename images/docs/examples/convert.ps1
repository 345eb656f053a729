<#
Convert an image: ./convert.ps1 FILE FORMAT [RESULT]

KOALA_URL is the server's address, KOALA_KEY your key.
Prints the result's name, or says on standard error why there is none and exits with 1.
#>
#Requires -Version 7.0
param(
    [Parameter(Mandatory)] [string] $Source,
    [Parameter(Mandatory)] [string] $Format,
    [string] $Result = [IO.Path]::ChangeExtension($Source, $Format)
)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$Attempts = 6
$LongestWait = 600 # seconds; who is to wait for longer should rather know why

function Exit-Because([string] $Why) {
    [Console]::Error.WriteLine($Why)
    exit 1
}

# The answer; asks again while that makes sense.
# If an answer gets lost on its way, the request may count twice.
function Send-Request([hashtable] $Request) {
    for ($attempt = 0; $attempt -lt $Attempts; $attempt++) {
        $wait = [int] [Math]::Pow(2, $attempt)
        $answer = $null
        try {
            $answer = Invoke-WebRequest @Request -SkipHttpErrorCheck -TimeoutSec 300
        }
        catch {
            $why = $_.Exception.Message
        }
        if ($null -ne $answer) {
            if ($answer.StatusCode -lt 300) { return $answer }
            $why = "$($answer.StatusCode) $($answer.Content)"
            if ($answer.StatusCode -ne 429 -and $answer.StatusCode -lt 500) {
                # 401 and 403 are among these: asking again would change nothing.
                Exit-Because "Refused: $why"
            }
            $retryAfter = 0
            if ([int]::TryParse("$($answer.Headers['Retry-After'])", [ref] $retryAfter)) {
                $wait = [Math]::Max($wait, $retryAfter)
            }
        }
        if ($wait -gt $LongestWait -or $attempt -eq $Attempts - 1) { break }
        # Up to 500 ms more, so that not all clients come back in the same moment.
        $milliseconds = 1000 * $wait + (Get-Random -Minimum 0 -Maximum 501)
        [Console]::Error.WriteLine("Again in $($milliseconds / 1000) s, because of: $why")
        Start-Sleep -Milliseconds $milliseconds
    }
    Exit-Because "Given up: $why"
}

$url = $env:KOALA_URL
$key = @{ Authorization = "Bearer $env:KOALA_KEY" }
$answer = Send-Request @{
    Method  = 'Post'
    Uri     = "$url/api/v1/convert"
    Headers = $key
    Form    = @{ file = Get-Item -LiteralPath $Source; output_format = $Format }
}
$job = $answer.Content | ConvertFrom-Json
while ($job.status -in 'queued', 'running') {
    Start-Sleep -Seconds 1 # asking for a job counts against no limit
    $answer = Send-Request @{ Uri = "$url/api/v1/jobs/$($job.id)"; Headers = $key }
    $job = $answer.Content | ConvertFrom-Json
}
if ($job.status -ne 'done') {
    Exit-Because "The job is $($job.status): $($job.error | ConvertTo-Json -Compress)"
}
# Without the key: the address alone opens the result.
$answer = Send-Request @{ Uri = $job.download_url }
Set-Content -LiteralPath $Result -Value $answer.RawContentStream.ToArray() -AsByteStream
Write-Output $Result
